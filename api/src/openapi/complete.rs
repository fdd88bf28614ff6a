//! What the generator of the document can't say, said here: so that no answer is one that the document does not describe,
//! which `./dev check --api` tries.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{fields, names};
use crate::paging;

const ID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// What an answer shows only where it has it: fields by their schema.
const SOMETIMES: [(&str, &str); 7] = [
    ("Problem", "change_token"),
    ("BatchActionFailed", "name"),
    ("Ref", "id"),
    ("Ref", "str"),
    ("UserPreferences", "lang"),
    ("UserPreferences", "date_format"),
    ("UserPreferences", "ui"),
];

/// Adds what the generator leaves out, and takes away the problems that an operation can't have.
pub(super) fn complete(document: &mut Value) {
    names::say_as_others_do(document);
    names::add_shared(document);
    let (asked, answered) = (named(document, "requestBody"), named(document, "responses"));
    let patches = patched(document);
    let schemas = document["components"]["schemas"].as_object_mut().into_iter().flatten();
    for (name, schema) in schemas.filter(|(_, schema)| schema["properties"].is_object()) {
        if asked.contains(name) {
            if schema["additionalProperties"].is_null() {
                schema["additionalProperties"] = json!(false);
            }
            fields::describe(name, schema);
        }
        describe_nulls(name, schema, answered.contains(name), patches.contains(name));
    }
    for (path, method, operation) in operations(document) {
        describe_list(operation);
        describe_parameters(operation);
        describe_answers(&path, &method, operation);
    }
    for mut parameter in paging::parameters() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        parameter["in"] = json!("query");
        parameter["required"] = json!(false);
        document["components"]["parameters"][name] = parameter;
    }
    document["components"]["headers"]["X-Request-Id"] = header("The id of this request: yours, if you sent one.");
}

/// Every operation with its path and method.
fn operations(document: &mut Value) -> impl Iterator<Item = (String, String, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object_mut().into_iter().flatten();
        methods.map(|(method, operation)| (path.clone(), method.clone(), operation))
    })
}

/// Names of the schemas that requests, or answers, are made of.
fn named(document: &mut Value, part: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open: Vec<Value> = operations(document).map(|(.., operation)| operation[part].clone()).collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                let reference = members.get("$ref").and_then(Value::as_str);
                let name = reference.and_then(|reference| reference.strip_prefix("#/components/schemas/"));
                if let Some(name) = name.filter(|name| names.insert((*name).to_owned())) {
                    open.push(document["components"]["schemas"][name].clone());
                }
                open.extend(members.into_iter().map(|(_, value)| value));
            }
            Value::Array(values) => open.extend(values),
            _ => {}
        }
    }
    names
}

/// Names of the schemas that are the body of a `PATCH`.
fn patched(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let bodies = paths.filter_map(|(_, path)| path["patch"]["requestBody"]["content"].as_object()).flatten();
    let names = bodies.filter_map(|(_, body)| body["schema"]["$ref"].as_str()?.rsplit('/').next().map(str::to_owned));
    names.collect()
}

/// An answer shows every field, null where there is nothing; a request may send null for what it may leave out. In a
/// `PATCH` null clears, so there the field's description says whether it can be cleared.
fn describe_nulls(schema_name: &str, schema: &mut Value, is_answer: bool, is_patch: bool) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = schema["properties"].as_object_mut() else { return };
    let is_always = |name: &String| !SOMETIMES.contains(&(schema_name, name.as_str()));
    for (name, property) in
        properties.iter_mut().filter(|(name, _)| !required.contains(&json!(name)) && is_always(name))
    {
        let mentions_null = property["description"].as_str().is_some_and(|text| text.contains("`null`"));
        if is_patch && !mentions_null {
            continue;
        }
        match property.as_object_mut() {
            // What stands beside a reference is not looked at.
            Some(members) if members.contains_key("$ref") => {
                *property = json!({ "allOf": [members], "nullable": true })
            }
            Some(members) if !members.is_empty() => drop(members.insert("nullable".into(), json!(true))),
            _ => tracing::debug!(name, "anything fits, null too"),
        }
    }
    if is_answer {
        let always: Vec<Value> = properties.keys().filter(|name| is_always(name)).map(|name| json!(name)).collect();
        // An empty list would not be one that the specification knows.
        if !always.is_empty() {
            schema["required"] = always.into();
        }
    }
}

/// Every list takes the same parameters, and can be ordered by what its description says: "Ordered by `a`, `b` or `c`."
fn describe_list(operation: &mut Value) {
    let content = &operation["responses"]["200"]["content"];
    let schema = &content["application/json"]["schema"]["$ref"];
    if !schema.as_str().is_some_and(|name| name.ends_with("List")) {
        return;
    }
    let text = operation["description"].as_str().unwrap_or_default();
    let sentence = text.split_once("Ordered by").map(|(_, rest)| rest.split(['.', ';']).next().unwrap_or_default());
    let fields = sentence.unwrap_or_default().split('`').skip(1).step_by(2);
    let orders: Vec<String> = fields.flat_map(|field| [field.to_owned(), format!("-{field}")]).collect();
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    parameters.extend(paging::parameters().iter().map(|parameter| {
        let name = parameter["name"].as_str().unwrap_or_default();
        json!({ "$ref": format!("#/components/parameters/{name}") })
    }));
    parameters.push(json!({
        "name": "ordering", "in": "query", "required": false,
        "description": "A field to order by, with a leading `-` for the reverse.",
        "schema": { "type": "string", "enum": orders }
    }));
    operation["parameters"] = parameters.into();
}

/// What parameters take that are texts for a handler.
fn describe_parameters(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let is_id_list = parameter["description"].as_str().is_some_and(|text| text.contains("separated by commas"));
        if parameter["name"] == "Idempotency-Key" {
            parameter["schema"] = json!({ "type": "string", "maxLength": 255, "pattern": "^[!-~]+$" });
            parameter["description"] = json!(
                "Makes repeating this request safe. A text of your own for each thing that shall be done, such as a UUID: 255 \
                 characters at most, ASCII without spaces."
            );
        } else if is_id_list {
            parameter["schema"]["pattern"] = json!(format!("^{ID}(,{ID})*$"));
        }
    }
}

/// Words for answers that come without, headers that all have, and no problem that this operation can't have.
fn describe_answers(path: &str, method: &str, operation: &mut Value) {
    let can_have = can_have(path, method, operation);
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.retain(|status, _| can_have(status));
    for (status, response) in responses {
        if response["description"] == "" {
            response["description"] = json!("What was asked for.");
        }
        response["headers"]["X-Request-Id"] = json!({ "$ref": "#/components/headers/X-Request-Id" });
        if response["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/JobRef" {
            let parameters =
                json!({ "organization_slug": "$request.path.organization_slug", "id": "$response.body#/id" });
            response["links"]["job"] = json!({ "operationId": "get_job", "parameters": parameters });
        }
        if status == "401" {
            response["headers"]["WWW-Authenticate"] = header("How to authenticate.");
        }
    }
}

/// Every handler has the same type of errors, so the generator gives every operation all of them. What the description
/// names stays in any case.
fn can_have(path: &str, method: &str, operation: &Value) -> impl Fn(&str) -> bool + use<> {
    let text = operation["description"].as_str().unwrap_or_default().to_owned();
    let takes =
        |name: &str| operation["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == name));
    let has_body = operation["requestBody"].is_object();
    let has_precondition = takes("If-Match");
    let needs_credential = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
    let (is_read, is_found) = (method == "get", path.contains('{'));
    move |status| {
        text.contains(status)
            || match status {
                "401" | "403" => needs_credential,
                "404" => is_found || !needs_credential,
                "409" | "429" => !is_read,
                "412" => has_precondition,
                "415" => has_body,
                _ => true,
            }
    }
}

fn header(description: &str) -> Value {
    json!({ "description": description, "required": true, "schema": { "type": "string" } })
}
