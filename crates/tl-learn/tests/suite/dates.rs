//! Dates. Today is Wednesday, 11 March 2026.

use tl_learn::recognise::{Context, dates};

use crate::{Row, check, context};

#[test]
fn dates_in_text() {
    let rows: &[Row] = &[
        ("", "due 2026-03-31.", "2026-03-31=2026-03-31"),
        (
            "",
            "2026/04/01 and 2026.04.02",
            "2026/04/01=2026-04-01; 2026.04.02=2026-04-02",
        ),
        ("", "at 2026-03-31T10:00:00Z", "2026-03-31=2026-03-31"),
        ("", "am 31.03.2026", "31.03.2026=2026-03-31"),
        ("", "am 1.4.26", "1.4.26=2026-04-01"),
        ("", "am 1. 4. 2026", "1. 4. 2026=2026-04-01"),
        ("DE", "bis zum 15.04. bitte", "15.04.=2026-04-15"),
        ("", "28.12. war es", "28.12.=2025-12-28"),
        ("US", "by 3/4/2026", "3/4/2026=2026-03-04"),
        ("GB", "by 3/4/2026", "3/4/2026=2026-04-03"),
        ("", "by 3/4/2026", "3/4/2026=2026-04-03"),
        ("", "by 3/25/2026", "3/25/2026=2026-03-25"),
        ("US", "by 25/3/2026", "25/3/2026=2026-03-25"),
        ("NL", "op 05-06-2026", "05-06-2026=2026-06-05"),
        ("", "12 March 2026", "12 March 2026=2026-03-12"),
        (
            "",
            "the 12th of March, 2026",
            "12th of March, 2026=2026-03-12",
        ),
        ("", "March 12, 2026", "March 12, 2026=2026-03-12"),
        ("", "Mar. 12th", "Mar. 12th=2026-03-12"),
        ("", "12-Mar-2026", "12-Mar-2026=2026-03-12"),
        ("", "December 24", "December 24=2025-12-24"),
        ("", "August 1st", "August 1st=2026-08-01"),
        ("DE", "12. März 2026", "12. März 2026=2026-03-12"),
        ("AT", "5. Jänner", "5. Jänner=2026-01-05"),
        ("DE", "am 3. Dez. 2026", "3. Dez. 2026=2026-12-03"),
        ("FR", "le 1er avril 2026", "1er avril 2026=2026-04-01"),
        ("FR", "le 14 juillet", "14 juillet=2026-07-14"),
        (
            "ES",
            "el 12 de marzo de 2026",
            "12 de marzo de 2026=2026-03-12",
        ),
        (
            "",
            "Monday, 16 March 2026",
            "Monday, 16 March 2026=2026-03-16",
        ),
        (
            "DE",
            "Mo., den 16.03.2026",
            "Mo., den 16.03.2026=2026-03-16",
        ),
        ("", "Thu, Mar 12", "Thu, Mar 12=2026-03-12"),
        (
            "",
            "today and tomorrow",
            "today=2026-03-11; tomorrow=2026-03-12",
        ),
        (
            "",
            "the day after tomorrow",
            "day after tomorrow=2026-03-13",
        ),
        ("", "yesterday", "yesterday=2026-03-10"),
        ("", "next Friday", "next Friday=2026-03-20"),
        ("", "next Monday", "next Monday=2026-03-16"),
        ("", "this Friday", "this Friday=2026-03-13"),
        ("", "last Friday", "last Friday=2026-03-06"),
        ("", "last Wednesday", "last Wednesday=2026-03-04"),
        ("", "on Friday", "Friday=2026-03-13"),
        ("", "by Wednesday", "Wednesday=2026-03-18"),
        ("", "Monday next week", "Monday next week=2026-03-16"),
        ("", "in 3 days", "in 3 days=2026-03-14"),
        ("", "in two weeks", "in two weeks=2026-03-25"),
        ("", "in a month", "in a month=2026-04-11"),
        ("", "2 weeks ago", "2 weeks ago=2026-02-25"),
        ("", "three days from now", "three days from now=2026-03-14"),
        ("", "end of the month", "end of the month=2026-03-31"),
        (
            "DE",
            "heute oder morgen",
            "heute=2026-03-11; morgen=2026-03-12",
        ),
        (
            "DE",
            "übermorgen, nicht gestern",
            "übermorgen=2026-03-13; gestern=2026-03-10",
        ),
        ("DE", "Guten Morgen", ""),
        ("DE", "nächsten Montag", "nächsten Montag=2026-03-16"),
        ("DE", "kommenden Freitag", "kommenden Freitag=2026-03-13"),
        ("DE", "in 3 Tagen", "in 3 Tagen=2026-03-14"),
        ("DE", "vor zwei Wochen", "vor zwei Wochen=2026-02-25"),
        ("DE", "bis Ende des Monats", "Ende des Monats=2026-03-31"),
        ("DE", "ich bin hier", ""),
        (
            "FR",
            "hier et aujourd'hui",
            "hier=2026-03-10; aujourd'hui=2026-03-11",
        ),
        ("FR", "après-demain", "après-demain=2026-03-13"),
        ("FR", "lundi prochain", "lundi prochain=2026-03-16"),
        ("FR", "dans 3 jours", "dans 3 jours=2026-03-14"),
        ("FR", "il y a 2 semaines", "il y a 2 semaines=2026-02-25"),
        ("ES", "mañana por la mañana", "mañana=2026-03-12"),
        ("ES", "pasado mañana", "pasado mañana=2026-03-13"),
        ("ES", "el próximo lunes", "próximo lunes=2026-03-16"),
        ("ES", "el lunes que viene", "lunes que viene=2026-03-16"),
        (
            "ES",
            "dentro de 3 días, hace 2 días",
            "dentro de 3 días=2026-03-14; hace 2 días=2026-03-09",
        ),
        ("", "Friday the 13th", "Friday the 13th=2026-03-13"),
        ("", "Wednesday the 22nd", "Wednesday the 22nd=2026-04-22"),
        ("", "next week Sunday", "next week Sunday=2026-03-22"),
        ("", "next week on Friday", "next week on Friday=2026-03-20"),
        ("", "Sunday of next week", "Sunday of next week=2026-03-22"),
        (
            "",
            "the second Monday of next month",
            "second Monday of next month=2026-04-13",
        ),
        (
            "",
            "the first Friday in July",
            "first Friday in July=2026-07-03",
        ),
        ("", "the fifth Monday of next month", ""),
        ("", "the third Tuesday", ""),
        (
            "",
            "the 20th of next month",
            "20th of next month=2026-04-20",
        ),
        ("", "31st of next month", ""),
        (
            "",
            "1 month and 10 days ago",
            "1 month and 10 days ago=2026-02-01",
        ),
        (
            "",
            "2 years, 1 month ago",
            "2 years, 1 month ago=2024-02-11",
        ),
        ("US", "by 4/22 or on 5/1", "4/22=2026-04-22; 5/1=2026-05-01"),
        ("DE", "bis 22/04", "22/04=2026-04-22"),
        ("US", "3/4 of them", ""),
        ("", "Mar-12", "Mar-12=2026-03-12"),
        ("", "31.02.2026 and 2026-13-01", ""),
        ("", "version 1.2.2020.4", ""),
        ("", "IP 10.11.12.13", ""),
        ("", "you may 5 times march on", ""),
        ("", "part-2026-03-31-b", ""),
        ("", "10:30 and 3.5 and 1/2", ""),
        ("", "in March 2026", ""),
        ("", "the year 2026", ""),
        ("", "29 February 2028", "29 February 2028=2028-02-29"),
        ("", "next\nFriday", "next\nFriday=2026-03-20"),
    ];
    check(rows, dates, ToString::to_string);
}

#[test]
fn without_a_valid_day_nothing_relative_is_found() {
    let context = Context {
        country: None,
        today: (0, 0, 0),
    };
    assert!(dates("tomorrow, 12 March, next Friday, in 3 days", &context).is_empty());
    assert_eq!(dates("2026-03-31", &context).len(), 1);
}

#[test]
fn an_undecided_order_of_day_and_month_is_doubtful() {
    let sure = |country: &str, text: &str| dates(text, &context(country))[0].confidence;
    assert!(sure("", "3/4/2026") < 0.6);
    assert!(
        sure("US", "3/4/2026") > 0.9 && sure("", "3/25/2026") > 0.9 && sure("", "4/4/2026") > 0.9
    );
}
