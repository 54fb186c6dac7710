//! Files of the ledger, for what feeds parsers arbitrary bytes.

use super::{
    SentParcel,
    record::{self, Record},
};

pub(crate) fn read(file: &[u8]) -> (Vec<SentParcel>, bool) {
    let contents = record::read(file);
    (contents.parcels, contents.damaged)
}

pub(crate) fn write(parcels: &[SentParcel]) -> Vec<u8> {
    let mut file = record::HEAD.to_vec();
    for (number, parcel) in (0_u32..).zip(parcels) {
        file.extend(record::write(&Record::Attempt { number, parcel: parcel.clone() }));
        file.extend(record::write(&Record::Outcome { number, outcome: parcel.outcome }));
    }
    file
}
