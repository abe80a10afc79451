//! The schema of a kind as Kubernetes wants it, with every field's own words.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation, JSONSchemaProps,
};
use kube::CustomResourceExt;
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::generate::SchemaSettings;
use schemars::transform::{AddNullable, Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The definition of a kind. Its schema is made here and not by the derive, which gives an optional field of an enum the
/// description of the enum instead of the field's.
pub(super) fn definition<K: CustomResourceExt + JsonSchema>() -> CustomResourceDefinition {
    let mut definition = K::crd();
    for version in &mut definition.spec.versions {
        // Whatever cannot be read stays as the derive made it; the goldens show that nothing does.
        if let Some(schema) = schema_of::<K>() {
            version.schema = Some(CustomResourceValidation {
                open_api_v3_schema: Some(schema),
            });
        }
    }
    definition
}

fn schema_of<K: JsonSchema>() -> Option<JSONSchemaProps> {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let generator = settings
        .with_transform(OwnDescription)
        .with_transform(AddNullable::default())
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum)
        .with_transform(OptionalIntOrString)
        .into_generator();
    let schema = generator.into_root_schema_for::<K>();
    serde_json::from_value(schema.to_value()).ok()
}

/// Moves the description of an optional field into the alternative that stays when null is taken out.
#[derive(Clone, Debug)]
struct OwnDescription;

impl Transform for OwnDescription {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(fields) = schema.as_object_mut() else {
            return;
        };
        let Some(description) = fields.get("description").cloned() else {
            return;
        };
        let alternatives = fields.get_mut("anyOf").and_then(Value::as_array_mut);
        if let Some([Value::Object(value), _null]) = alternatives.map(Vec::as_mut_slice) {
            value.insert("description".to_owned(), description);
        }
    }
}
