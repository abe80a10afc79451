//! Documents as objects: which kind, which name, and its spec.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

use sallyport_policy::source::{
    AccessPolicySpec, AccessRequestSpec, AccessReviewSpec, GROUP, GatewaySpec, GuardrailSpec,
    VERSION,
};

use super::check::{Show, check};
use super::mistake::Mistake;
use super::near::{nearest, quoted};
use super::place::{ObjectName, field_path, item_path};
use super::tree::Node;
use crate::shape::{Field, Shape};

/// The namespace of an object that names none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// Kinds that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gateway,
    Policy,
    Guardrail,
    Request,
    Review,
    Secret,
    Namespace,
    List,
}

impl Kind {
    const OURS: [Self; 5] = [
        Self::Gateway,
        Self::Policy,
        Self::Guardrail,
        Self::Request,
        Self::Review,
    ];
    const CORE: [Self; 3] = [Self::Secret, Self::Namespace, Self::List];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "McpGateway",
            Self::Policy => "McpAccessPolicy",
            Self::Guardrail => "McpGuardrail",
            Self::Request => "McpAccessRequest",
            Self::Review => "McpAccessReview",
            Self::Secret => "Secret",
            Self::Namespace => "Namespace",
            Self::List => "List",
        }
    }

    pub(super) const fn is_namespaced(self) -> bool {
        match self {
            Self::Gateway | Self::Policy | Self::Request | Self::Review | Self::Secret => true,
            Self::Guardrail | Self::Namespace | Self::List => false,
        }
    }
}

/// What a document is.
#[derive(Debug)]
pub(super) enum Recognised {
    Known(Kind),
    /// A kind that is nobody's business here, as it is called.
    Foreign(String),
}

/// Which kind a document is. What looks like a misspelt kind of ours is a mistake: passing over it would lose a policy.
pub(super) fn recognise(root: &Node) -> Result<Recognised, Vec<Mistake>> {
    let missing = |field: &str| {
        let expected = format!("the field {}", quoted(field));
        Mistake::at(&root.place, expected, "none").with_path(field)
    };
    let kind = root.field("kind").and_then(Node::text);
    let version = root.field("apiVersion").and_then(Node::text);
    let (Some(kind), Some(version)) = (kind, version) else {
        let fields = [("apiVersion", version), ("kind", kind)];
        let absent = fields.iter().filter(|(_, text)| text.is_none());
        return Err(absent.map(|(name, _)| missing(name)).collect());
    };
    if version == format!("{GROUP}/{VERSION}") {
        return ours(root, kind);
    }
    if let Some(known) = Kind::CORE.into_iter().find(|known| known.name() == kind)
        && version == "v1"
    {
        return Ok(Recognised::Known(known));
    }
    let names = Kind::OURS.iter().map(|known| known.name());
    let group = version.split('/').next().unwrap_or_default();
    if nearest(kind, names).is_some() || nearest(group, [GROUP]).is_some() {
        return Err(vec![wrong_version(root, version)]);
    }
    Ok(Recognised::Foreign(format!("{version} {kind}")))
}

fn ours(root: &Node, kind: &str) -> Result<Recognised, Vec<Mistake>> {
    if let Some(known) = Kind::OURS.into_iter().find(|known| known.name() == kind) {
        return Ok(Recognised::Known(known));
    }
    let names = Kind::OURS.iter().map(|known| known.name());
    let place = root.field("kind").map_or(&root.place, |node| &node.place);
    let expected = format!("a kind of {GROUP}/{VERSION}");
    let mistake = Mistake::at(place, expected, quoted(kind)).with_path("kind");
    Err(vec![mistake.with_near(nearest(kind, names))])
}

fn wrong_version(root: &Node, found: &str) -> Mistake {
    let place = root
        .field("apiVersion")
        .map_or(&root.place, |node| &node.place);
    let expected = quoted(&format!("{GROUP}/{VERSION}"));
    Mistake::at(place, expected, quoted(found)).with_path("apiVersion")
}

/// Which object a document is, as far as it says so.
pub(super) fn name_of(root: &Node, kind: Kind) -> Option<ObjectName> {
    let metadata = root.field("metadata")?;
    let namespace = metadata.field("namespace").and_then(Node::text);
    Some(ObjectName {
        kind: kind.name().to_owned(),
        namespace: if kind.is_namespaced() {
            namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned()
        } else {
            String::new()
        },
        name: metadata.field("name").and_then(Node::text)?.to_owned(),
    })
}

/// Everything in a document that is not of its kind's shape.
pub(super) fn mistakes_of(root: &Node, kind: Kind) -> Vec<Mistake> {
    let show = if kind == Kind::Secret {
        Show::KindsOnly
    } else {
        Show::Values
    };
    let Some(shape) = shape_of(kind) else {
        let expected = "a schema of our own that can be read";
        return vec![
            Mistake::at(&root.place, expected, "another").with_hint("this is a bug in sallyport"),
        ];
    };
    let mut mistakes = check(root, shape, "", show);
    let namespace = root
        .field("metadata")
        .and_then(|node| node.entry("namespace"));
    if let Some(entry) = namespace.filter(|_| !kind.is_namespaced()) {
        let expected = format!("no namespace: {} is cluster-scoped", kind.name());
        let mistake = Mistake::at(&entry.place, expected, "");
        mistakes.push(mistake.with_path("metadata.namespace"));
    }
    mistakes
}

/// The spec of a document whose shape was found right.
///
/// # Errors
/// What only a type's own reader sees, such as a duration that is too long.
pub(super) fn spec_of<T: DeserializeOwned>(root: &Node) -> Result<T, Box<Mistake>> {
    let spec = root.field("spec").map_or(Value::Null, Node::to_json);
    serde_path_to_error::deserialize(spec).map_err(|error| {
        let (node, path) = walk(root, error.path());
        let reason = error.inner().to_string();
        let mistake = Mistake::at(&node.place, "a value that can be read", "").with_path(&path);
        Box::new(mistake.with_hint(reason))
    })
}

/// The node at a path below `spec`, or the last one on the way to it.
fn walk<'a>(root: &'a Node, steps: &serde_path_to_error::Path) -> (&'a Node, String) {
    use serde_path_to_error::Segment;
    let mut node = root.field("spec").unwrap_or(root);
    let mut path = "spec".to_owned();
    for step in steps {
        let (next, longer) = match step {
            Segment::Map { key } | Segment::Enum { variant: key } => {
                (node.field(key), field_path(&path, key))
            }
            Segment::Seq { index } => (node.item(*index), item_path(&path, *index)),
            Segment::Unknown => (None, path.clone()),
        };
        let Some(next) = next else {
            break;
        };
        node = next;
        path = longer;
    }
    (node, path)
}

/// The shapes of whole documents, read from the schemas once.
fn shape_of(kind: Kind) -> Option<&'static Shape> {
    static SHAPES: OnceLock<[Option<Shape>; 8]> = OnceLock::new();
    let shapes = SHAPES.get_or_init(|| {
        [
            document::<GatewaySpec>(),
            document::<AccessPolicySpec>(),
            document::<GuardrailSpec>(),
            document::<AccessRequestSpec>(),
            document::<AccessReviewSpec>(),
            Shape::of::<SecretDocument>().ok(),
            Shape::of::<NamespaceDocument>().ok(),
            Shape::of::<ListDocument>().ok(),
        ]
    });
    let [
        gateway,
        policy,
        guardrail,
        request,
        review,
        secret,
        namespace,
        list,
    ] = shapes;
    match kind {
        Kind::Gateway => gateway,
        Kind::Policy => policy,
        Kind::Guardrail => guardrail,
        Kind::Request => request,
        Kind::Review => review,
        Kind::Secret => secret,
        Kind::Namespace => namespace,
        Kind::List => list,
    }
    .as_ref()
}

/// The shape of an object of ours round its spec.
fn document<T: JsonSchema>() -> Option<Shape> {
    let metadata = Shape::of::<Metadata>().ok()?;
    let spec = Shape::of::<T>().ok()?;
    let field = |shape, required| Field { shape, required };
    Some(Shape::Section(BTreeMap::from([
        ("apiVersion".to_owned(), field(Shape::text(), true)),
        ("kind".to_owned(), field(Shape::text(), true)),
        ("metadata".to_owned(), field(metadata, true)),
        ("spec".to_owned(), field(spec, true)),
        // Written by the operator; `kubectl get -o yaml` prints it.
        ("status".to_owned(), field(Shape::Anything, false)),
    ])))
}

/// Fields of `metadata`, those included that only the API server writes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct Metadata {
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        extend("x-sallyport-expected" = "lower-case letters, digits, `-` and `.`")
    )]
    name: String,
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        extend("x-sallyport-expected" = "lower-case letters, digits and `-`")
    )]
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Value>,
    deletion_grace_period_seconds: Option<Value>,
    deletion_timestamp: Option<Value>,
    finalizers: Option<Value>,
    generate_name: Option<String>,
    generation: Option<i64>,
    managed_fields: Option<Value>,
    owner_references: Option<Value>,
    resource_version: Option<String>,
    self_link: Option<String>,
    uid: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct SecretDocument {
    api_version: String,
    kind: String,
    metadata: Metadata,
    r#type: Option<String>,
    immutable: Option<bool>,
    data: Option<BTreeMap<String, String>>,
    string_data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct NamespaceDocument {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Option<Value>,
    status: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct ListDocument {
    api_version: String,
    kind: String,
    metadata: Option<Value>,
    items: Vec<Value>,
}
