//! Amounts of money.

use tl_learn::recognise::{Money, money};

use crate::{Row, check, context};

#[test]
fn money_in_text() {
    let rows: &[Row] = &[
        ("", "It costs $1,250.50 a month", "$1,250.50=1250.50 USD"),
        (
            "",
            "Das kostet 1.250,50 € im Monat",
            "1.250,50 €=1250.50 EUR",
        ),
        ("", "€ 99", "€ 99=99 EUR"),
        ("", "EUR 12.000,--", "EUR 12.000,--=12000 EUR"),
        ("", "CHF 1'250.-", "CHF 1'250.-=1250 CHF"),
        ("", "Fr. 20.50", "Fr. 20.50=20.50 CHF"),
        ("", "1 250 000,75 EUR", "1 250 000,75 EUR=1250000.75 EUR"),
        ("", "1\u{a0}250 €", "1\u{a0}250 €=1250 EUR"),
        ("", "£2.5k", "£2.5k=2500 GBP"),
        ("", "a budget of 2.5m USD", "2.5m USD=2500000 USD"),
        ("", "Budget: 1,5 Mio. €", "1,5 Mio. €=1500000 EUR"),
        ("", "rund 3 Mrd. Euro", "3 Mrd. Euro=3000000000 EUR"),
        ("", "$3 million", "$3 million=3000000 USD"),
        ("", "250 TEUR", "250 TEUR=250000 EUR"),
        ("", "250 T€", "250 T€=250000 EUR"),
        ("", "20 mil euros", "20 mil euros=20000 EUR"),
        ("", "€10-20k", "€10=10000 EUR; 20k=20000 EUR"),
        ("", "10-20k EUR", "10=10000 EUR; 20k EUR=20000 EUR"),
        (
            "",
            "zwischen 500 und 900 Euro",
            "500=500 EUR; 900 Euro=900 EUR",
        ),
        ("", "$500 to $900", "$500=500 USD; $900=900 USD"),
        ("", "from 5 to 6 dollars", "5=5 USD; 6 dollars=6 USD"),
        ("", "$500 USD", "$500 USD=500 USD"),
        ("", "$500 CAD", "$500 CAD=500 CAD"),
        ("CA", "$500", "$500=500 CAD"),
        ("AU", "A$ 30 or US$40", "A$ 30=30 AUD; US$40=40 USD"),
        ("", "R$ 1.200,00", "R$ 1.200,00=1200.00 BRL"),
        ("", "-$20 refund", "-$20=-20 USD"),
        ("", "minus: -50 €", "-50 €=-50 EUR"),
        ("SE", "1 200 kr", "1 200 kr=1200 SEK"),
        ("DK", "kr. 1.200,50", "kr. 1.200,50=1200.50 DKK"),
        ("NO", "500 kroner", "500 kroner=500 NOK"),
        ("", "15 000 SEK", "15 000 SEK=15000 SEK"),
        ("", "₹1,50,000", "₹1,50,000=150000 INR"),
        ("", "Rs. 500", "Rs. 500=500 INR"),
        ("", "5 lakh rupees", "5 lakh rupees=500000 INR"),
        ("", "¥10,000", "¥10,000=10000 JPY"),
        (
            "",
            "450 zł i 3 000,00 PLN",
            "450 zł=450 PLN; 3 000,00 PLN=3000.00 PLN",
        ),
        ("", "12 500 Kč", "12 500 Kč=12500 CZK"),
        ("", "300 pounds sterling", "300 pounds sterling=300 GBP"),
        ("", "200 US dollars", "200 US dollars=200 USD"),
        ("", "50 Schweizer Franken", "50 Schweizer Franken=50 CHF"),
        ("DE", "1.234 €", "1.234 €=1234 EUR"),
        ("US", "1.234 €", "1.234 €=1234 EUR"),
        ("DE", "0,99 €", "0,99 €=0.99 EUR"),
        ("", "usd 12", "usd 12=12 USD"),
        ("", "EUR 5 USD 6", "EUR 5=5 EUR; USD 6=6 USD"),
        ("", "€5 €6", "€5=5 EUR; €6=6 EUR"),
        ("", "€1.234.567,89", "€1.234.567,89=1234567.89 EUR"),
        ("", "c $ 16.4 million", "c $ 16.4 million=16400000 CAD"),
        ("", "give us $5", "$5=5 USD"),
        ("", "a $5 fee", "$5=5 USD"),
        ("", "50 cents", "50 cents=0.50 USD"),
        ("DE", "50 Cent", "50 Cent=0.50 EUR"),
        ("", "197 pence", "197 pence=1.97 GBP"),
        (
            "",
            "3 dollars and 50 cents",
            "3 dollars and 50 cents=3.50 USD",
        ),
        ("", "five million yen", "five million yen=5000000 JPY"),
        ("", "10 $ 30 cent", "10 $ 30 cent=10.30 USD"),
        ("", "forty-five cents", ""),
        ("", "one dollar", "one dollar=1 USD"),
        ("", "10 $ 30 $", "10 $=10 USD; 30 $=30 USD"),
        ("", "rmb 10 usd 20", "rmb 10=10 CNY; usd 20=20 USD"),
        (
            "",
            "100 元 or 100 Turkish lira",
            "100 元=100 CNY; 100 Turkish lira=100 TRY",
        ),
        ("", "a dollar here and five there", ""),
        ("", "all 5 tops", ""),
        ("", "version 1.2.3 costs nothing", ""),
        ("", "40 trucks by 3 pm", ""),
        ("", "$", ""),
        ("", "€12.03.2026", ""),
        ("", "(€500)", "€500=500 EUR"),
        ("", "Preis:5€/Stück", "5€=5 EUR"),
        ("", "$1 000 000 000 000 000 000", ""),
    ];
    check(rows, money, |m: &Money| {
        format!("{} {}", m.amount, m.currency)
    });
}

#[test]
fn doubt_lowers_the_confidence() {
    let sure = |country: &str, text: &str| money(text, &context(country))[0].confidence;
    assert!(sure("DE", "1.234 €") > sure("US", "1.234 €"));
    assert!(sure("SE", "100 kr") > sure("", "100 kr"));
    assert!(sure("", "€5") > sure("", "5 pounds"));
}
