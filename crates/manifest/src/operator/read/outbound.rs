//! `[outbound]`, of every app or of one. In: a table. Out: what it says of trust and identity; the files are there.

use std::path::{Path, PathBuf};

use crate::{
    lookup::{Kind, present},
    operator::outbound::{Identity, Outbound, Trust},
    reader::{Reader, Shape, Table},
};

const OUTBOUND: Shape = Shape {
    known: &[
        ("ca", "ca = \"ca.pem\""),
        ("only-ca", "only-ca = true"),
        ("certificate", "certificate = \"client.pem\""),
        ("key", "key = \"client-key.pem\""),
    ],
    later: &[("proxy", "requests are dialled directly for now")],
};

pub(super) fn outbound(reader: &mut Reader<'_>, parent: &Table<'_>, dir: &Path) -> Outbound {
    let Some(table) = reader.table(parent, "outbound", &OUTBOUND) else {
        return Outbound::default();
    };
    let ca = pem(reader, &table, "ca", "authority", dir);
    let only = reader.flag(&table, "only-ca");
    if let Some(value) = table.keys.get("only-ca").filter(|_| only)
        && !table.keys.contains_key("ca")
    {
        let message = "`only-ca` without a `ca` trusts nobody".to_owned();
        let fix = "name the authorities beside it: `ca = \"ca.pem\"`";
        reader.report("outbound", value.span(), message, "", fix);
    }
    for (said, needed) in [("certificate", "key"), ("key", "certificate")] {
        if table.keys.contains_key(said) && !table.keys.contains_key(needed) {
            reader.missing(&table, needed);
        }
    }
    let certificate = pem(reader, &table, "certificate", "certificate", dir);
    let key = pem(reader, &table, "key", "key", dir);
    let trust = |ca| {
        if only {
            Trust::Only(ca)
        } else {
            Trust::SystemAnd(ca)
        }
    };
    Outbound {
        trust: ca.map(trust),
        identity: certificate
            .zip(key)
            .map(|(certificate, key)| Identity { certificate, key }),
    }
}

/// A file of PEM text that is there.
pub(super) fn pem(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &str,
    what: &str,
    dir: &Path,
) -> Option<PathBuf> {
    let file = reader.string(table, key)?;
    present(reader, &file, dir, what, Kind::File)
}
