//! Numbers with what they count.

use tl_learn::recognise::{Quantity, quantities};

use crate::{Row, check, context};

#[test]
fn quantities_in_text() {
    let rows: &[Row] = &[
        ("", "We need 40 trucks by Friday", "40 trucks=40 trucks"),
        ("", "40 new trucks", "40 new trucks=40 trucks"),
        ("", "about 1,200 users", "1,200 users=1200 users"),
        ("DE", "etwa 1.200 Nutzer", "1.200 Nutzer=1200 nutzer"),
        ("DE", "12,5 kg Mehl", "12,5 kg=12.5 kg"),
        ("DE", "1,250 kg", "1,250 kg=1.25 kg"),
        ("US", "1,250 kg", "1,250 kg=1250 kg"),
        ("", "5kg and 3 m", "5kg=5 kg; 3 m=3 m"),
        ("", "20 %", "20 %=20 %"),
        ("", "a 15% discount", "15%=15 %"),
        ("", "three pallets", "three pallets=3 pallets"),
        ("DE", "zwei Paletten", "zwei Paletten=2 paletten"),
        ("FR", "25 palettes", "25 palettes=25 palettes"),
        ("ES", "diez camiones", "diez camiones=10 camiones"),
        ("", "10 000 pieces", "10 000 pieces=10000 pieces"),
        ("", "2 Mio. Stück", "2 Mio. Stück=2000000 stück"),
        (
            "",
            "25 seats for 12 months",
            "25 seats=25 seats; 12 months=12 months",
        ),
        ("", "$40 trucks", ""),
        ("", "12 March 2026", ""),
        ("", "order 4711 is late", ""),
        ("", "room 12 please", ""),
        ("", "at 3 pm and 5 of them", ""),
        ("DE", "Tel 030 1234567 Berlin", ""),
        ("", "the 4th truck", ""),
        ("", "version 2.1.3 works", ""),
        ("", "ticket #88 trucks", ""),
        ("", "one truck", ""),
        ("", "", ""),
    ];
    check(rows, quantities, |q: &Quantity| {
        format!("{} {}", q.amount, q.unit)
    });
}

#[test]
fn a_unit_is_surer_than_any_other_word() {
    let sure = |text: &str| quantities(text, &context(""))[0].confidence;
    assert!(sure("40 kg") > sure("40 gizmos") && sure("40 gizmos") > sure("40 sheep"));
}
