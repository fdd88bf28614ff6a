// What can be said by script about how a mail looks. Returns a list of complaints.
const complaints = [];
const say = (what, element) => complaints.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
const all = [...document.body.querySelectorAll("*")].filter(isShown);

// Not innerWidth: a phone's browser makes its window as wide as the page, and everything in it smaller.
const width = screen.width;
if (innerWidth > width || document.documentElement.scrollWidth > width) say("too wide", document.documentElement);
for (const element of all) {
  const box = element.getBoundingClientRect();
  if (box.left < -0.5 || box.right > width + 0.5) say(`from ${box.left} to ${box.right}`, element);
}
for (const image of document.images) {
  if (!image.complete || image.naturalWidth === 0) say("an image is missing", image);
}
// A link that is a block is a button; as large as a thumb.
for (const link of all.filter((element) => element.matches("a"))) {
  const { height } = link.getBoundingClientRect();
  if (getComputedStyle(link).display === "block" && height < 44) say(`only ${height} high`, link);
}

// Contrast as WCAG 2 computes it, between a text's colour and what it stands on.
const parse = (color) => {
  const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
  return { rgb: [red, green, blue], alpha };
};
const over = (front, back) => front.rgb.map((value, i) => value * front.alpha + back[i] * (1 - front.alpha));
const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
const ground = (element) => {
  if (!element) return canvas;
  const color = parse(getComputedStyle(element).backgroundColor);
  return color.alpha === 1 ? color.rgb : over(color, ground(element.parentElement));
};
const luminance = (rgb) => {
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
let texts = 0;
for (const element of all) {
  const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  if (!hasText) continue;
  texts += 1;
  const back = ground(element);
  const lights = [luminance(over(parse(getComputedStyle(element).color), back)), luminance(back)];
  const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
  if (contrast < 4.5) say(`contrast ${contrast.toFixed(2)}`, element);
  if (parseFloat(getComputedStyle(element).fontSize) < 13) say("small print", element);
}
if (texts < 5) say("there is hardly a text", document.body);
return complaints;
