//! What an absent field means once everything is resolved. One place, so that compiler, docs and charts agree.

use super::authentication::Algorithm;
use super::gateway::Transport;
use super::masking::MaskAction;
use super::scalar::{GoDuration, Quantity};
use super::settings::{BudgetKey, Capture, Enforcement, OnPinChange, Payloads, RecordingMode};

pub const SERVER_PATH: &str = "/mcp";
pub const TRANSPORT: Transport = Transport::StreamableHttp;
pub const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

pub const DETECTORS: [&str; 1] = ["Credentials"];
pub const MASK_ACTION: MaskAction = MaskAction::Redact;
/// Characters that `Partial` leaves readable.
pub const KEEP_LAST: u8 = 4;

pub const RECORDING_MODE: RecordingMode = RecordingMode::Strict;
pub const PAYLOADS: Payloads = Payloads::Masked;
pub const RETENTION: GoDuration = GoDuration::from_secs(9600 * 3600);
pub const ANCHOR_EVERY: GoDuration = GoDuration::from_secs(300);

pub const HOLD: GoDuration = GoDuration::from_secs(45);
pub const REQUEST_TTL: GoDuration = GoDuration::from_secs(3600);
pub const MAX_GRANT: GoDuration = GoDuration::from_secs(8 * 3600);
pub const MAX_PENDING: u32 = 16;
pub const GRANT_DURATION: GoDuration = GoDuration::from_secs(15 * 60);
pub const REQUIRED_APPROVALS: u32 = 1;

pub const REQUEST_BYTES: Quantity = Quantity::mebibytes(4);
pub const RESPONSE_BYTES: Quantity = Quantity::mebibytes(16);
pub const CONCURRENT_CALLS: u32 = 256;
pub const SESSION_IDLE: GoDuration = GoDuration::from_secs(30 * 60);
pub const CHILDREN: u32 = 64;
pub const MEMORY: Quantity = Quantity::mebibytes(512);
pub const BUDGET_BY: BudgetKey = BudgetKey::Principal;

pub const ON_PIN_CHANGE: OnPinChange = OnPinChange::Quarantine;
pub const ENFORCEMENT: Enforcement = Enforcement::Enforce;
pub const CAPTURE: Capture = Capture::Auto;
pub const POLICY_MAX_AGE: GoDuration = GoDuration::from_secs(24 * 3600);
/// The time zone of a window that names none.
pub const TIME_ZONE: &str = "UTC";
