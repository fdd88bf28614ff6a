//! The logo of an organization: what is taken for one, what is handed out of it, and where it is shown.

use std::io::{Cursor, Write};

use flate2::Crc;
use flate2::write::ZlibEncoder;
use harness::{Answer, Browser, Call, Caller, TestApp};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::mail_looks::look;

/// A picture: a disc on nothing, or where nothing can't be seen through, on black.
pub(crate) fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let drawn = DynamicImage::from(RgbaImage::from_fn(width, height, |x, y| {
        let off = |at: u32, of: u32| (f64::from(at) + 0.5) / f64::from(of) * 2.0 - 1.0;
        let is_inside = off(x, width).hypot(off(y, height)) < 1.0;
        if is_inside { Rgba([11, 110, 79, 255]) } else { Rgba([0, 0, 0, 0]) }
    }));
    let drawn = if format == ImageFormat::Jpeg { drawn.into_rgb8().into() } else { drawn };
    let mut bytes = Cursor::new(Vec::new());
    drawn.write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

fn put(caller: &Caller, kind: &str, bytes: impl Into<Vec<u8>>) -> Call {
    caller.call(Method::PUT, "/settings/logo").body(kind, bytes)
}

fn address(settings: &Value) -> String {
    settings["branding"]["logo"].as_str().unwrap_or_else(|| panic!("a logo in {settings}")).to_owned()
}

/// As a browser or a mail program reads it.
async fn read(address: &str) -> Response {
    reqwest::get(address).await.expect("an answer")
}

async fn bytes(address: &str) -> Vec<u8> {
    let answer = read(address).await;
    assert_eq!(answer.status(), 200, "{address}");
    answer.bytes().await.expect("a body").to_vec()
}

/// The picture at an address, which must be a PNG and nothing behind it.
async fn drawn(address: &str) -> RgbaImage {
    let bytes = bytes(address).await;
    assert!(bytes.ends_with(b"IEND\xaeB`\x82"), "nothing stands behind its end");
    image::load_from_memory_with_format(&bytes, ImageFormat::Png).expect("a PNG").into_rgba8()
}

#[tokio::test]
async fn a_png_a_jpeg_and_a_webp_become_a_png_of_ours_that_strangers_can_read() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let mut addresses = Vec::new();
    // The bytes say what it is, whatever it was called.
    for (format, kind) in
        [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/png"), (ImageFormat::WebP, "image/webp")]
    {
        let address = address(&put(&admin, kind, picture(120, 30, format)).await.ok());
        assert!(address.starts_with(&format!("{}/assets/logos/acme.png?v=", app.url())), "{address}");
        let answer = read(&address).await;
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("content-type"), "image/png");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'; sandbox");
        assert_eq!(header("cross-origin-resource-policy"), "cross-origin");
        assert_eq!(header("cache-control"), "public, max-age=31536000, immutable");
        let shown = drawn(&address).await;
        assert_eq!(shown.dimensions(), (120, 30));
        let [corner, middle] = [shown.get_pixel(0, 0).0, shown.get_pixel(60, 15).0];
        assert_eq!(corner[3], if format == ImageFormat::Jpeg { 255 } else { 0 }, "{format:?}");
        assert!(middle[1].abs_diff(110) < 8 && middle[3] == 255, "{format:?}: {middle:?}");
        addresses.push(address);
    }
    assert_eq!(addresses[0], addresses[2], "the same dots are the same picture");
    assert_ne!(addresses[0], addresses[1]);
    assert_eq!(admin.get("/settings").await.ok()["branding"]["logo"], json!(addresses[2]));
    app.finish().await;
}

#[tokio::test]
async fn a_large_picture_is_kept_as_small_as_it_is_shown_and_has_no_dark_rim() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    for (size, kept) in
        [((600, 600), (144, 144)), ((1000, 100), (720, 72)), ((16, 16), (16, 16)), ((16, 400), (5, 144))]
    {
        let address = address(&put(&admin, "image/png", picture(size.0, size.1, ImageFormat::Png)).await.ok());
        let drawn = drawn(&address).await;
        assert_eq!(drawn.dimensions(), kept);
        for pixel in drawn.pixels().filter(|pixel| pixel.0[3] > 16) {
            assert!(pixel.0[1] > 90, "{size:?}: {pixel:?} is darker than anything in it");
        }
    }
    app.finish().await;
}

/// A chunk of a PNG.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    let length = u32::try_from(data.len()).expect("a length");
    [&length.to_be_bytes()[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

/// A PNG that says it is so large, with as many dots as are given.
fn png(width: u32, height: u32, dots: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let mut deflated = ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    deflated.write_all(dots).expect("deflated");
    let dots = deflated.finish().expect("deflated");
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", &dots), chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks].concat()
}

#[tokio::test]
async fn what_is_no_whole_picture_of_a_fit_size_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let settings = put(&admin, "image/png", picture(32, 32, ImageFormat::Png)).await.ok();
    let half = |format| {
        let whole = picture(200, 100, format);
        whole[..whole.len() / 2].to_vec()
    };
    let padded = [picture(32, 32, ImageFormat::Png), vec![0; 300 * 1024]].concat();
    let svg = r#"<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><script>alert(1)</script></svg>"#;
    let mut gif = b"GIF89a\x20\0\x20\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x20\0\x20\0\0\x02".to_vec();
    gif.extend_from_slice(b"\x02\x44\x01\0;");
    for (what, bytes, code) in [
        ("nothing", Vec::new(), "required"),
        ("300 KiB", padded, "too_large"),
        ("HTML", b"<!doctype html><script>alert(1)</script>".to_vec(), "unknown_format"),
        ("SVG", svg.into(), "unknown_format"),
        ("GIF", gif, "unknown_format"),
        ("a PNG's first bytes", b"\x89PNG\r\n\x1a\n".to_vec(), "broken"),
        ("half a PNG", half(ImageFormat::Png), "broken"),
        ("half a JPEG", half(ImageFormat::Jpeg), "broken"),
        ("half a WebP", half(ImageFormat::WebP), "broken"),
        ("fewer dots than it says", png(64, 64, &[0; 1_000]), "broken"),
        ("a bomb", png(30_000, 30_000, &[0; 100_000]), "wrong_size"),
        ("too wide", png(2_049, 16, &[0; 16 * (1 + 4 * 2_049)]), "wrong_size"),
        ("too low", picture(200, 15, ImageFormat::Png), "wrong_size"),
        ("one dot", picture(1, 1, ImageFormat::WebP), "wrong_size"),
    ] {
        let answer = put(&admin, "image/png", bytes).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["code"]), (400, &json!(code)), "{what}");
        answer.invalid("logo", code);
    }
    for kind in ["image/gif", "image/svg+xml", "text/html", "application/json", "application/octet-stream"] {
        let answer = put(&admin, kind, picture(32, 32, ImageFormat::Png)).await;
        answer.problem(415, "unsupported_media_type");
    }
    put(&admin, "image/png", Vec::new()).without("content-type").await.problem(415, "unsupported_media_type");
    put(&admin, "image/png", vec![0; 1024 * 1024 + 1]).await.problem(413, "body_too_large");
    assert_eq!(admin.get("/settings").await.ok(), settings);
    app.finish().await;
}

/// A JPEG as a telephone makes it: lying on its side, with the place where it was taken.
fn photograph() -> Vec<u8> {
    let place = b"48.8584 N 2.2945 E\0";
    let count = u32::try_from(place.len()).expect("a length");
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0".to_vec();
    exif.extend_from_slice(&[&[0x0e, 0x01, 2, 0][..], &count.to_le_bytes(), &38_u32.to_le_bytes()].concat());
    exif.extend_from_slice(&[0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    exif.extend_from_slice(place);
    let jpeg = picture(100, 20, ImageFormat::Jpeg);
    let length = u16::try_from(exif.len() + 2).expect("a length").to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat()
}

#[tokio::test]
async fn what_else_is_in_the_file_is_not_handed_out() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let photograph = photograph();
    assert!(has(&photograph, "48.8584"));
    let address_of = async |bytes: Vec<u8>| address(&put(&admin, "image/jpeg", bytes).await.ok());
    let shown = address_of(photograph).await;
    assert!(!has(&bytes(&shown).await, "48.8584") && !has(&bytes(&shown).await, "Exif"));
    assert_eq!(drawn(&shown).await.dimensions(), (20, 100), "it stands as it was meant to");

    // One file that is a picture to one and a page to another: in a comment, and behind the end.
    let whole = picture(64, 64, ImageFormat::Png);
    let page = "<html><script>alert(document.domain)</script>";
    let text = chunk(b"tEXt", format!("Comment\0{page}").as_bytes());
    let both = [&whole[..33], &text, &whole[33..], page.as_bytes()].concat();
    let shown = address_of(both).await;
    assert!(!has(&bytes(&shown).await, "<script") && !has(&bytes(&shown).await, "html"));
    assert_eq!(drawn(&shown).await.dimensions(), (64, 64));
    app.finish().await;
}

#[tokio::test]
async fn a_logo_is_set_by_whoever_may_change_the_organization_and_by_nobody_else() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let globex = app.organization("globex").administrator().await;
    let dots = picture(32, 32, ImageFormat::Png);
    put(&admin, "image/png", dots.clone()).await.ok();
    let delete = |caller: &Caller| caller.delete("/settings/logo");
    let nobody = app.anonymous().under("acme");
    put(&nobody, "image/png", dots.clone()).await.problem(401, "not_authenticated");
    delete(&nobody).await.problem(401, "not_authenticated");
    let other = globex.under("acme");
    put(&other, "image/png", dots.clone()).await.problem(404, "not_found");
    delete(&other).await.problem(404, "not_found");
    for role in ["reader", "auditor", "domain_manager"] {
        let member = admin.member(&format!("{role}@example.com"), role).await;
        put(&member, "image/png", dots.clone()).await.problem(403, "permission_denied");
        delete(&member).await.problem(403, "permission_denied");
    }
    let address = address(&admin.get("/settings").await.ok());
    for (slug, status) in
        [("acme", 200), ("ACME", 200), ("globex", 404), ("nowhere", 404), ("%C3%BC", 404), ("..", 404)]
    {
        let address = address.replace("/acme.png", &format!("/{slug}.png"));
        let answer = read(&address).await;
        assert_eq!(answer.status(), status, "{address}");
        let kept = answer.headers()["cache-control"].to_str().expect("text");
        assert!(status == 200 || kept == "no-store", "{address}: {kept}");
    }
    delete(&globex).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn another_logo_has_another_address_and_what_was_mailed_shows_the_present_one() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let unset = admin.get("/settings").await;
    let tag = |answer: &Answer| answer.header("etag").to_owned();
    let set = |side: u32| put(&admin, "image/png", picture(side, side, ImageFormat::Png));
    let first = set(32).header("If-Match", &tag(&unset)).await;
    let first_tag = tag(&first);
    let first = address(&first.ok());
    set(48).header("If-Match", &tag(&unset)).await.problem(412, "precondition_failed");
    assert_eq!(tag(&set(32).await), first_tag, "the same again changes nothing");
    let second = address(&set(48).header("If-Match", &first_tag).await.ok());
    assert_ne!(first, second);
    assert_eq!(bytes(&first).await, bytes(&second).await);
    let old = read(&first).await;
    assert_eq!(old.headers()["cache-control"], "no-cache");
    let known = reqwest::Client::new().get(&first).header("if-none-match", old.headers()["etag"].clone());
    assert_eq!(known.send().await.expect("an answer").status(), 304);

    let present = tag(&admin.get("/settings").await);
    admin.delete("/settings/logo").header("If-Match", &first_tag).await.problem(412, "precondition_failed");
    admin.delete("/settings/logo").header("If-Match", &present).await.no_content();
    admin.delete("/settings/logo").await.problem(404, "not_found");
    assert_eq!(read(&second).await.status(), 404);
    assert_eq!(admin.get("/settings").await.ok()["branding"]["logo"], Value::Null);
    let log = admin.get("/audit-events?object_type=organization").await.ok();
    let actions: Vec<&str> =
        log["results"].as_array().into_iter().flatten().filter_map(|event| event["action"].as_str()).collect();
    assert_eq!(actions[..3], ["logo.deleted", "logo.set", "logo.set"], "{log}");
    app.finish().await;
}

#[tokio::test]
async fn of_two_logos_at_once_one_stays_and_is_the_one_that_is_named() {
    let app = TestApp::start().await;
    let admin = app.organization("acme").administrator().await;
    let set = |side: u32| put(&admin, "image/png", picture(side, side, ImageFormat::Png)).into_future();
    let answers = futures_util::future::join_all([20, 30, 40, 50].map(set)).await;
    let addresses: Vec<String> = answers.into_iter().map(|answer| address(&answer.ok())).collect();
    let named = address(&admin.get("/settings").await.ok());
    let nth = addresses.iter().position(|address| *address == named).expect("one of them");
    assert_eq!(read(&named).await.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(drawn(&named).await.width(), [20, 30, 40, 50][nth]);
    app.finish().await;
}

#[tokio::test]
async fn the_logo_of_a_deleted_organization_is_gone_and_comes_back_with_it() {
    let app = TestApp::start().await;
    let operator = app.organization("platform").administrator().await;
    let admin = app.organization("acme").administrator().await;
    let address = address(&put(&admin, "image/png", picture(32, 32, ImageFormat::Png)).await.ok());
    operator.delete("/v1/orgs/acme").await.no_content();
    assert_eq!(read(&address).await.status(), 404);
    operator.post("/v1/orgs/acme/restore", json!({})).await.ok();
    assert_eq!(read(&address).await.status(), 200);
    app.finish().await;
}

#[tokio::test]
async fn pages_and_mails_show_the_logo_by_day_and_by_night() {
    let app = TestApp::start().await;
    let admin = app.organization_named("acme", "Acme Robotics Ltd").administrator().await;
    app.organization("globex").administrator().await;
    let branding = json!({ "name": "Acme Robotics", "color": "#0b6e4f" });
    admin.patch("/settings", json!({ "branding": branding })).await.ok();
    let browser = Browser::start().await;
    let sign_in = |slug: &str| format!("{}/sign-in/password?organization={slug}", app.url());
    for (shape, (width, height), is_sign) in [("wide", (480, 80), false), ("square", (200, 200), true)] {
        let settings = put(&admin, "image/png", picture(width, height, ImageFormat::Png)).await.ok();
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            browser.open(&sign_in("acme")).await;
            assert!(
                browser.run("return document.images[0].naturalWidth").await.as_i64() > Some(40),
                "{shape} is shown"
            );
            let alt = browser.run("return document.images[0].alt").await;
            assert_eq!(alt, if is_sign { "" } else { "Acme Robotics" });
            assert_eq!(browser.text().await.contains("Acme Robotics"), is_sign, "a sign has the name beside it");
            assert!(browser.content_width().await <= 390, "a phone need not scroll sideways");
            browser.screenshot(&format!("logo-{shape}.{scheme}")).await;
            browser.screenshot_on_a_desk(&format!("logo-{shape}.{scheme}.desk")).await;
        }
        let invitee = format!("{shape}@example.com");
        admin.invite(&invitee, "reader").await;
        let mail = app.mailbox().last_to(&invitee).await;
        assert!(mail.subject().ends_with("invites you to join Acme Robotics"), "{}", mail.subject());
        assert!(mail.html().contains(&format!("src=\"{}\"", address(&settings))), "{}", mail.html());
        assert!(!mail.raw().contains("image/"), "the picture does not travel with the mail");
        look(&browser, &format!("logo-{shape}"), &mail.html()).await;
        browser.open(mail.link().0.as_str()).await;
        browser.until_it_says("Acme Robotics").await;
        assert!(browser.run("return document.images[0].naturalWidth").await.as_i64() > Some(40));
    }
    // Who has said nothing of his looks looks like nobody.
    for slug in ["globex", "nowhere"] {
        browser.open(&sign_in(slug)).await;
        assert!(!browser.has(".brand").await && !browser.has("img").await, "{slug}");
    }
    browser.close().await;
    app.finish().await;
}
