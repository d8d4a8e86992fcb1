//! Bearer tokens: what each kind of key proves, and the attacks on the format.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use std::sync::LazyLock;
use tl_wire::jwt::{Algorithm, Claims, Issuer, JwtError, KeySet, KeySetError, verify};

const NOW_S: i64 = 1_700_000_000;
const SHARED: &[u8] = b"0123456789abcdef0123456789abcdef";

struct Keys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    other_ed: Ed25519KeyPair,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let p256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
    Keys {
        rsa: RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("rsa"),
        ec: EcdsaKeyPair::generate(p256).expect("ec"),
        ed: Ed25519KeyPair::generate().expect("ed"),
        other_ed: Ed25519KeyPair::generate().expect("ed"),
    }
});

impl Keys {
    /// Modulus and exponent, cut out of the PKCS#1 form, whose layout is fixed for 2048 bits.
    fn rsa_components(&self) -> (&[u8], &[u8]) {
        let der = self.rsa.public_key().as_ref();
        assert_eq!(der.len(), 270);
        (&der[9..265], &der[267..])
    }

    fn rsa_jwk(&self) -> Value {
        let (n, e) = self.rsa_components();
        json!({"kty": "RSA", "kid": "r1", "use": "sig", "alg": "RS256", "n": B64.encode(n), "e": B64.encode(e)})
    }

    fn ec_jwk(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "kid": "e1", "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..])})
    }

    fn ed_jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "d1", "x": B64.encode(self.ed.public_key().as_ref())})
    }

    fn set(&self) -> KeySet {
        key_set(&[self.rsa_jwk(), self.ec_jwk(), self.ed_jwk()]).expect("set")
    }
}

fn key_set(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes())
}

#[derive(Clone, Copy)]
enum By {
    Hs(&'static [u8]),
    Rs,
    Es,
    Ed,
    OtherEd,
    Nobody,
}

fn signature(by: By, message: &[u8]) -> Vec<u8> {
    let rng = SystemRandom::new();
    match by {
        By::Hs(key) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
            .as_ref()
            .to_vec(),
        By::Rs => {
            let mut signature = vec![0; KEYS.rsa.public_modulus_len()];
            KEYS.rsa
                .sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
                .expect("signed");
            signature
        }
        By::Es => KEYS
            .ec
            .sign(&rng, message)
            .expect("signed")
            .as_ref()
            .to_vec(),
        By::Ed => KEYS.ed.sign(message).as_ref().to_vec(),
        By::OtherEd => KEYS.other_ed.sign(message).as_ref().to_vec(),
        By::Nobody => Vec::new(),
    }
}

fn token(header: &str, claims: &str, by: By) -> String {
    let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
    let signature = B64.encode(signature(by, message.as_bytes()));
    format!("{message}.{signature}")
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example.com", "aud": "throughline", "sub": "crm-sync",
        "exp": NOW_S + 600, "iat": NOW_S, "tenant": "acme", "scope": "events:write cases:read",
    })
}

fn issuer() -> Issuer {
    Issuer {
        issuer: "https://id.example.com".to_owned(),
        audiences: vec!["throughline".to_owned(), "throughline-eu".to_owned()],
        algorithms: vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
        tenant_claim: Some("tenant".to_owned()),
    }
}

fn check(token: &str, keys: &KeySet) -> Result<Claims, JwtError> {
    verify(token, &issuer(), keys, NOW_S * 1_000_000)
}

#[test]
fn every_algorithm_proves_its_bearer() {
    let hs = KeySet::hs256(Some("s1"), SHARED).expect("secret");
    let unnamed = KeySet::hs256(None, SHARED).expect("secret");
    let table = [
        ("RS256", Some("r1"), By::Rs, KEYS.set(), Some("r1")),
        ("ES256", Some("e1"), By::Es, KEYS.set(), Some("e1")),
        ("EdDSA", Some("d1"), By::Ed, KEYS.set(), Some("d1")),
        ("EdDSA", None, By::Ed, KEYS.set(), Some("d1")),
        ("HS256", Some("s1"), By::Hs(SHARED), hs.clone(), Some("s1")),
        ("HS256", None, By::Hs(SHARED), hs.clone(), Some("s1")),
        ("HS256", Some("any"), By::Hs(SHARED), unnamed.clone(), None),
        ("HS256", None, By::Hs(SHARED), hs.and(unnamed), Some("s1")),
    ];
    let mut issuer = issuer();
    issuer.algorithms.push(Algorithm::Hs256);
    for (alg, kid, by, keys, expected) in table {
        let header = json!({"typ": "JWT", "alg": alg, "kid": kid}).to_string();
        let token = token(&header, &claims().to_string(), by);
        let seen = verify(&token, &issuer, &keys, NOW_S * 1_000_000);
        let seen = seen.unwrap_or_else(|e| panic!("{alg} {kid:?}: {e}"));
        let wanted = Claims {
            subject: "crm-sync".to_owned(),
            tenant: Some("acme".to_owned()),
            scopes: vec!["cases:read".to_owned(), "events:write".to_owned()],
            token_id: None,
            kid: expected.map(str::to_owned),
            expires_us: (NOW_S + 600) * 1_000_000,
        };
        assert_eq!(seen, wanted, "{alg} {kid:?}");
    }
}

#[test]
fn header_attacks() {
    use JwtError::{AlgorithmRefused, CriticalExtension, Malformed, Mismatch, NoKey, UnknownKey};
    let (n, _) = KEYS.rsa_components();
    let modulus: &'static [u8] = n.to_vec().leak();
    let der: &'static [u8] = KEYS.rsa.public_key().as_ref().to_vec().leak();
    let own = KEYS.ed_jwk().to_string();
    let embedded = format!(r#"{{"alg":"EdDSA","jwk":{own}}}"#);
    let remote = r#"{"alg":"EdDSA","kid":"d1","jku":"https://evil.example/keys"}"#;
    let table: Vec<(&str, &str, By, Option<JwtError>)> = vec![
        ("good", r#"{"alg":"EdDSA","kid":"d1"}"#, By::Ed, None),
        (
            "typ of access tokens",
            r#"{"alg":"EdDSA","typ":"at+JWT"}"#,
            By::Ed,
            None,
        ),
        ("none", r#"{"alg":"none"}"#, By::Nobody, Some(Malformed)),
        (
            "none with bytes",
            r#"{"alg":"none"}"#,
            By::Ed,
            Some(AlgorithmRefused),
        ),
        ("None", r#"{"alg":"None"}"#, By::Ed, Some(AlgorithmRefused)),
        ("no alg", r#"{"kid":"d1"}"#, By::Ed, Some(Malformed)),
        (
            "alg of wrong type",
            r#"{"alg":["EdDSA"]}"#,
            By::Ed,
            Some(Malformed),
        ),
        (
            "alg twice",
            r#"{"alg":"EdDSA","alg":"HS256"}"#,
            By::Ed,
            Some(Malformed),
        ),
        (
            "lower case",
            r#"{"alg":"eddsa"}"#,
            By::Ed,
            Some(AlgorithmRefused),
        ),
        (
            "HS with RSA modulus",
            r#"{"alg":"HS256","kid":"r1"}"#,
            By::Hs(modulus),
            Some(AlgorithmRefused),
        ),
        (
            "HS with RSA DER",
            r#"{"alg":"HS256","kid":"r1"}"#,
            By::Hs(der),
            Some(AlgorithmRefused),
        ),
        (
            "not pinned",
            r#"{"alg":"PS256","kid":"r1"}"#,
            By::Rs,
            Some(AlgorithmRefused),
        ),
        (
            "other hash",
            r#"{"alg":"RS512","kid":"r1"}"#,
            By::Rs,
            Some(AlgorithmRefused),
        ),
        (
            "key of other kind",
            r#"{"alg":"ES256","kid":"r1"}"#,
            By::Es,
            Some(NoKey),
        ),
        (
            "unknown kid",
            r#"{"alg":"EdDSA","kid":"d2"}"#,
            By::Ed,
            Some(UnknownKey("d2".into())),
        ),
        (
            "kid as path",
            r#"{"alg":"EdDSA","kid":"../../dev/null"}"#,
            By::Ed,
            Some(UnknownKey("../../dev/null".into())),
        ),
        (
            "kid of wrong type",
            r#"{"alg":"EdDSA","kid":7}"#,
            By::Ed,
            Some(Malformed),
        ),
        (
            "other key",
            r#"{"alg":"EdDSA","kid":"d1"}"#,
            By::OtherEd,
            Some(Mismatch),
        ),
        ("embedded key", &embedded, By::OtherEd, Some(Mismatch)),
        ("remote key", remote, By::OtherEd, Some(Mismatch)),
        (
            "crit",
            r#"{"alg":"EdDSA","crit":["exp"]}"#,
            By::Ed,
            Some(CriticalExtension),
        ),
        (
            "b64 false",
            r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#,
            By::Ed,
            Some(CriticalExtension),
        ),
        (
            "other typ",
            r#"{"alg":"EdDSA","typ":"logout+jwt"}"#,
            By::Ed,
            Some(Malformed),
        ),
        ("not JSON", "alg", By::Ed, Some(Malformed)),
        (
            "trailing data",
            r#"{"alg":"EdDSA"}{}"#,
            By::Ed,
            Some(Malformed),
        ),
    ];
    for (name, header, by, expected) in table {
        let token = token(header, &claims().to_string(), by);
        assert_eq!(check(&token, &KEYS.set()).err(), expected, "{name}");
    }
}

/// A secret that happens to be a public key must not verify where both kinds are allowed.
#[test]
fn algorithm_confusion_with_hs256_allowed() {
    let mut issuer = issuer();
    issuer.algorithms.push(Algorithm::Hs256);
    let der: &'static [u8] = KEYS.rsa.public_key().as_ref().to_vec().leak();
    let forged = token(
        r#"{"alg":"HS256","kid":"r1"}"#,
        &claims().to_string(),
        By::Hs(der),
    );
    let seen = verify(&forged, &issuer, &KEYS.set(), NOW_S * 1_000_000);
    assert_eq!(seen, Err(JwtError::NoKey));
}

#[test]
fn claims_are_judged() {
    use JwtError::{Expired, NotYetValid, WrongAudience, WrongIssuer};
    let missing = |name: &str| Some(JwtError::MissingClaim(name.to_owned()));
    let table: Vec<(&str, Value, Option<JwtError>)> = vec![
        ("exp", json!(NOW_S + 1), None),
        ("exp", json!(NOW_S - 59), None),
        ("exp", json!(NOW_S - 60), Some(Expired)),
        ("exp", json!(NOW_S as f64 - 59.5), None),
        ("exp", json!(NOW_S as f64 - 60.5), Some(Expired)),
        ("exp", json!(i64::MAX), None),
        ("exp", json!(u64::MAX), None),
        ("exp", json!(1e300), None),
        ("exp", json!(-1), Some(Expired)),
        ("exp", json!(i64::MIN), Some(Expired)),
        ("exp", Value::Null, missing("exp")),
        ("exp", json!("1700000600"), missing("exp")),
        ("nbf", json!(NOW_S + 60), None),
        ("nbf", json!(NOW_S + 61), Some(NotYetValid)),
        ("nbf", json!("soon"), missing("nbf")),
        ("nbf", json!(i64::MIN), None),
        ("iat", json!(NOW_S + 61), Some(NotYetValid)),
        ("iss", json!("https://id.example.com/"), Some(WrongIssuer)),
        ("iss", json!(["https://id.example.com"]), missing("iss")),
        ("iss", Value::Null, missing("iss")),
        ("aud", json!("throughline-eu"), None),
        ("aud", json!(["other", "throughline"]), None),
        ("aud", json!("other"), Some(WrongAudience)),
        ("aud", json!([]), Some(WrongAudience)),
        ("aud", json!(["throughline", 7]), missing("aud")),
        ("aud", json!("throughline other"), Some(WrongAudience)),
        ("aud", Value::Null, missing("aud")),
        ("sub", json!(""), missing("sub")),
        ("sub", json!("a\u{0}b"), missing("sub")),
        ("sub", Value::Null, missing("sub")),
        ("tenant", json!(["acme", "other"]), missing("tenant")),
        ("tenant", Value::Null, missing("tenant")),
        ("scope", json!(7), missing("scope")),
        ("jti", json!(""), missing("jti")),
    ];
    for (name, value, expected) in table {
        let mut claims = claims();
        claims[name] = value.clone();
        let token = token(r#"{"alg":"EdDSA"}"#, &claims.to_string(), By::Ed);
        assert_eq!(check(&token, &KEYS.set()).err(), expected, "{name}={value}");
    }
    let list = json!({"scp": ["b", "a", "b"], "scope": "c"});
    let mut listed = claims();
    listed
        .as_object_mut()
        .expect("object")
        .extend(list.as_object().expect("object").clone());
    let token = token(r#"{"alg":"EdDSA"}"#, &listed.to_string(), By::Ed);
    assert_eq!(
        check(&token, &KEYS.set()).expect("valid").scopes,
        ["a", "b", "c"]
    );
}

#[test]
fn shapes_that_are_no_token() {
    let good = token(r#"{"alg":"EdDSA"}"#, &claims().to_string(), By::Ed);
    let parts: Vec<&str> = good.split('.').collect();
    let table = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        parts[0].to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{}", parts[2]),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('.', ".."),
        good.repeat(100),
        token(r#"{"alg":"EdDSA"}"#, "[]", By::Ed),
        token(r#"{"alg":"EdDSA"}"#, "not json", By::Ed),
    ];
    for text in table {
        assert_eq!(
            check(&text, &KEYS.set()),
            Err(JwtError::Malformed),
            "{text}"
        );
    }
    assert!(check(&good, &KEYS.set()).is_ok());
}

/// Every altered character of header, claims or signature is refused.
#[test]
fn altered_tokens() {
    let keys = KEYS.set();
    for (alg, by) in [("EdDSA", By::Ed), ("ES256", By::Es), ("RS256", By::Rs)] {
        let header = json!({"alg": alg}).to_string();
        let good = token(&header, &claims().to_string(), by);
        assert!(check(&good, &keys).is_ok());
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).expect("ascii");
            assert!(check(&altered, &keys).is_err(), "{alg} at {at}: {altered}");
        }
    }
}

#[test]
fn key_sets() {
    let with = |base: Value, name: &str, value: Value| {
        let mut jwk = base;
        jwk[name] = value;
        jwk
    };
    let ed = || KEYS.ed_jwk();
    let weak = B64.encode([0xC5; 128]);
    use KeySetError::{DuplicateKid, NoUsableKey, TooLarge};
    let table: Vec<(&str, Vec<Value>, Option<KeySetError>)> = vec![
        ("one", vec![ed()], None),
        (
            "unusable beside usable",
            vec![json!(7), json!({"kty": "x"}), ed()],
            None,
        ),
        (
            "for encryption",
            vec![with(ed(), "use", json!("enc"))],
            Some(NoUsableKey),
        ),
        (
            "not for verifying",
            vec![with(ed(), "key_ops", json!(["sign"]))],
            Some(NoUsableKey),
        ),
        (
            "for verifying",
            vec![with(ed(), "key_ops", json!(["verify"]))],
            None,
        ),
        (
            "symmetric",
            vec![json!({"kty": "oct", "k": B64.encode(SHARED), "alg": "HS256"})],
            Some(NoUsableKey),
        ),
        (
            "weak RSA",
            vec![with(KEYS.rsa_jwk(), "n", json!(weak))],
            Some(NoUsableKey),
        ),
        (
            "RSA as HMAC",
            vec![with(KEYS.rsa_jwk(), "alg", json!("HS256"))],
            Some(NoUsableKey),
        ),
        (
            "other algorithm",
            vec![with(KEYS.rsa_jwk(), "alg", json!("RS512"))],
            Some(NoUsableKey),
        ),
        (
            "other curve",
            vec![with(KEYS.ec_jwk(), "crv", json!("secp256k1"))],
            Some(NoUsableKey),
        ),
        (
            "short point",
            vec![with(KEYS.ec_jwk(), "x", json!("AAAA"))],
            Some(NoUsableKey),
        ),
        (
            "short key",
            vec![with(ed(), "x", json!("AAAA"))],
            Some(NoUsableKey),
        ),
        ("same name twice", vec![ed(), ed()], Some(DuplicateKid)),
        ("too many", vec![ed(); 65], Some(TooLarge)),
        ("none", vec![], Some(NoUsableKey)),
    ];
    for (name, keys, expected) in table {
        assert_eq!(key_set(&keys).err(), expected, "{name}");
    }
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "{\"keys\":[]} x"] {
        let result = KeySet::from_jwks(text.as_bytes());
        assert_eq!(result.err(), Some(KeySetError::Malformed), "{text}");
    }
    let long = KeySet::from_jwks(&vec![b' '; 300 * 1024]);
    assert_eq!(long.err(), Some(TooLarge));
    let short = KeySet::hs256(None, &SHARED[..31]);
    assert_eq!(short.err(), Some(KeySetError::SecretTooShort));
    let shown = format!("{:?}", KeySet::hs256(None, SHARED));
    assert!(
        !shown.contains("48, 49, 50") && !shown.contains("0123456789"),
        "{shown}"
    );
}
