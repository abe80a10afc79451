//! The validator against what JSON Schema says, and masks that fit.

use serde_json::json;

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn keywords_mean_what_the_specification_says() {
    let table = [
        (json!({"type": "string"}), json!("x"), true),
        (json!({"type": "string"}), json!(1), false),
        (json!({"type": ["string", "null"]}), json!(null), true),
        (json!({"type": "integer"}), json!(1.0), true),
        (json!({"type": "integer"}), json!(1.5), false),
        (json!({"enum": ["a"]}), json!("b"), false),
        (json!({"const": 1}), json!(1), true),
        (json!({"minLength": 3, "maxLength": 4}), json!("äöü"), true),
        (json!({"maxLength": 2}), json!("abc"), false),
        (json!({"pattern": "^a"}), json!("ba"), false),
        (json!({"pattern": "(?=a)"}), json!("a"), false),
        (json!({"format": "email"}), json!("a@b.c"), true),
        (json!({"format": "email"}), json!("[redacted:Email]"), false),
        (
            json!({"format": "uuid"}),
            json!("00000000-0000-0000-0000-000000000000"),
            true,
        ),
        (
            json!({"minimum": 1, "exclusiveMaximum": 3}),
            json!(3),
            false,
        ),
        (json!({"multipleOf": 5}), json!(7), false),
        (json!({"required": ["a"]}), json!({}), false),
        (
            json!({"properties": {"a": {"type": "string"}}}),
            json!({"a": 1}),
            false,
        ),
        (
            json!({"additionalProperties": false}),
            json!({"a": 1}),
            false,
        ),
        (
            json!({"patternProperties": {"^x": {"type": "number"}}}),
            json!({"x1": "s"}),
            false,
        ),
        (json!({"items": {"type": "number"}}), json!([1, "a"]), false),
        (
            json!({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}),
            json!(["a", 1]),
            true,
        ),
        (json!({"minItems": 1}), json!([]), false),
        (json!({"uniqueItems": true}), json!([1, 1]), false),
        (json!({"contains": {"const": 1}}), json!([2]), false),
        (
            json!({"allOf": [{"type": "string"}, {"minLength": 2}]}),
            json!("a"),
            false,
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!(null),
            true,
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
            json!("a"),
            false,
        ),
        (json!({"not": {"type": "string"}}), json!("a"), false),
        (
            json!({"if": {"type": "string"}, "then": {"minLength": 2}}),
            json!("a"),
            false,
        ),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "number"}}}),
            json!("a"),
            false,
        ),
        (json!({"$ref": "#"}), json!("a"), true),
        (json!(false), json!("a"), false),
    ];
    for (schema, value, expected) in table {
        assert_eq!(
            Schema::new(&schema).accepts(&value),
            expected,
            "{schema} on {value}"
        );
    }
}

#[test]
fn a_mask_fits_its_schema_or_there_is_none() {
    let table = [
        (
            json!({"type": "string"}),
            "ada@x.org",
            Some("[redacted:Field]"),
        ),
        (
            json!({"format": "email"}),
            "ada@x.org",
            Some("redacted@example.invalid"),
        ),
        (json!({"maxLength": 6}), "secret", Some("****")),
        (
            json!({"minLength": 20}),
            "secret",
            Some("[redacted:Field]****"),
        ),
        (json!({"pattern": "^[0-9]{4}$"}), "1234", Some("0000")),
        (
            json!({"pattern": "^[A-Z]{2}-[0-9]+$"}),
            "AB-99",
            Some("XX-00"),
        ),
        (json!({"enum": ["red", "green"]}), "red", None),
        (json!({"const": "red"}), "red", None),
        (json!({"pattern": "^AKIA"}), "AKIAIOSFODNN7EXAMPLE", None),
    ];
    for (schema, original, expected) in table {
        let found = fit_text(&[Schema::new(&schema)], "[redacted:Field]", original);
        assert_eq!(found.as_deref(), expected, "{schema}");
    }
}

#[test]
fn a_number_stays_in_its_range() {
    let table = [
        (json!({"type": "integer"}), Some("0")),
        (json!({"minimum": 5}), Some("5")),
        (json!({"exclusiveMinimum": 5, "type": "integer"}), Some("6")),
        (json!({"maximum": -2.5, "type": "integer"}), Some("-3")),
        (json!({"minimum": 7, "multipleOf": 5}), Some("10")),
        (json!({"const": 42}), None),
        (json!({"enum": [1, 2]}), None),
    ];
    for (schema, expected) in table {
        assert_eq!(
            fit_number(&[Schema::new(&schema)]).as_deref(),
            expected,
            "{schema}"
        );
    }
}

#[test]
fn law_27_a_schema_tells_which_fields_no_mask_fits() {
    use crate::mask::FieldRule;
    use crate::source::masking::MaskAction;
    let schema = json!({
        "type": "object",
        "required": ["state", "rows"],
        "properties": {
            "state": {"enum": ["open", "closed"]},
            "kind": {"const": "card"},
            "free": {"type": "string"},
            "code": {"type": "string", "pattern": "^[A-F]{8}$"},
            "amount": {"type": "number", "minimum": 3, "maximum": 4},
            "narrow": {"type": "number", "minimum": 3.25, "maximum": 3.5, "multipleOf": 0.4},
            "rows": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/row"}},
            "notes": {"type": "array", "items": {"const": "x"}},
        },
        "$defs": {"row": {"type": "object", "properties": {
            "level": {"type": "string", "enum": ["a"]}, "name": {"type": "string"},
            "inner": {"$ref": "#/$defs/row"},
        }}},
    });
    let table = [
        ("$.free", MaskAction::Redact, false),
        ("$.free", MaskAction::Drop, false),
        ("$.state", MaskAction::Drop, true),
        ("$.state", MaskAction::Redact, true),
        ("$.kind", MaskAction::Hash, true),
        ("$.kind", MaskAction::Drop, false),
        ("$.code", MaskAction::Partial, true),
        ("$.amount", MaskAction::Redact, false),
        ("$.narrow", MaskAction::Redact, true),
        ("$.rows[*].name", MaskAction::Redact, false),
        ("$.rows[-1].level", MaskAction::Redact, true),
        ("$.rows[0].inner.inner.level", MaskAction::Redact, true),
        ("$..level", MaskAction::Redact, true),
        ("$..name", MaskAction::Redact, false),
        ("$.notes", MaskAction::Redact, false),
        ("$.notes[*]", MaskAction::Redact, true),
        ("$.rows", MaskAction::Redact, false),
        ("$.elsewhere", MaskAction::Redact, false),
        ("$.*", MaskAction::Redact, true),
    ];
    for (path, action, expected) in table {
        let rule = FieldRule {
            tool: "t".to_owned(),
            path: path.to_owned(),
            action,
            keep_last: 4,
        };
        let told = unmaskable(&schema, &[rule]);
        assert_eq!(!told.is_empty(), expected, "{path} {action:?}: {told:?}");
    }
}
