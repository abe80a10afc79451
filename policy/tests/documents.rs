//! What the documents repeat from the code is still what the code says.

use sallyport_policy::decide::DenyReason;
use sallyport_policy::mask::reference_table;

const MASKING: &str = include_str!("../../docs/masking.md");
const WIRE: &str = include_str!("../../docs/wire-behaviour.md");

#[test]
fn the_masking_page_shows_the_table_of_detectors() {
    let table = reference_table();
    assert!(
        MASKING.ends_with(&table),
        "put this at the end of docs/masking.md:\n{table}"
    );
}

#[test]
fn the_wire_page_lists_every_reason_code() {
    for reason in DenyReason::ALL {
        let row = format!("\n| `{}` | ", reason.code());
        assert!(
            WIRE.contains(&row),
            "docs/wire-behaviour.md lacks `{}`",
            reason.code()
        );
    }
}
