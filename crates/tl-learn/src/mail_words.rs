//! What mail programs and people write around a message, in English, German, French, Spanish, Italian, Dutch and
//! Swedish (with Danish and Norwegian where they differ). All in lower case; lists
//! of phrases are separated by `|`, lists of words by blanks.

/// Beginnings and endings of the line that introduces a quoted reply: "On … wrote:".
pub(crate) const ATTRIBUTIONS: &[(&str, &str)] = &[
    ("on ", "wrote"),
    ("am ", "schrieb"),
    ("um ", "schrieb"),
    ("le ", "a écrit"),
    ("el ", "escribió"),
    ("il giorno ", "ha scritto"),
    ("il ", "ha scritto"),
    ("op ", "schreef"),
    ("den ", "skrev"),
    ("på ", "skrev"),
    ("em ", "escreveu"),
    ("", "wrote"),
    ("", "schrieb"),
    ("", "a écrit"),
    ("", "escribió"),
    ("", "ha scritto"),
    ("", "schreef"),
    ("", "skrev"),
    ("", "writes"),
];

/// Titles between dashes over the headers of the message that is answered.
pub(crate) const ORIGINAL_TITLES: &str = "original message|reply separator|original appointment|reply message|ursprüngliche nachricht|originalnachricht|\
    message d'origine|message original|mensaje original|messaggio originale|oorspronkelijk bericht|\
    ursprungligt meddelande|originalmeddelande|oprindelig meddelelse|opprinnelig melding";

/// Titles over a forwarded message.
pub(crate) const FORWARD_TITLES: &str = "forwarded message|begin forwarded message|forwarded by|weitergeleitete nachricht|\
    anfang der weitergeleiteten nachricht|anfang der weitergeleiteten e-mail|message transféré|\
    début du message transféré|début du message réexpédié|message transferé|mensaje reenviado|\
    inicio del mensaje reenviado|messaggio inoltrato|inizio messaggio inoltrato|\
    inizio del messaggio inoltrato|doorgestuurd bericht|begin doorgestuurd bericht|\
    vidarebefordrat meddelande|vidarebefordrat brev|videresendt meddelelse|videresendt melding";

/// Header names of a quoted or forwarded message.
pub(crate) const FROM_NAMES: &str = "from|von|de|da|van|från|fra|expéditeur|mittente";
pub(crate) const SUBJECT_NAMES: &str =
    "subject|betreff|objet|asunto|oggetto|onderwerp|ämne|emne|assunto";
pub(crate) const OTHER_NAMES: &str = "sent|date|to|cc|bcc|reply-to|importance|attachments|gesendet|datum|an|kopie|antwort an|envoyé|\
    envoyé le|date d'envoi|à|copie à|enviado|enviado el|fecha|para|inviato|data|a|verzonden|aan|\
    skickat|till|sendt|til|dato|datum und uhrzeit";

/// Closings that are one also when a few words follow on their line.
pub(crate) const CLOSINGS: &str = "best regards|kind regards|warm regards|kindest regards|regards|with kind regards|\
    with best regards|many thanks and best regards|sincerely|sincerely yours|yours sincerely|\
    yours faithfully|yours truly|best wishes|all the best|cheers|thanks and regards|\
    thanks & regards|warmly|respectfully|mit freundlichen grüßen|mit freundlichen grüssen|\
    mit freundlichen gruessen|mit freundlichem gruß|mit freundlichem gruss|freundliche grüße|\
    freundliche grüsse|freundlicher gruß|mit besten grüßen|mit besten grüssen|beste grüße|\
    beste grüsse|viele grüße|viele grüsse|liebe grüße|liebe grüsse|herzliche grüße|herzliche grüsse|\
    schöne grüße|schöne grüsse|hochachtungsvoll|grüße|gruß|mfg|lg|vg|cordialement|bien cordialement|\
    très cordialement|bien à vous|sincères salutations|salutations distinguées|\
    meilleures salutations|amicalement|respectueusement|atentamente|un saludo|saludos|\
    saludos cordiales|un cordial saludo|cordialmente|cordiales saludos|atentos saludos|\
    cordiali saluti|distinti saluti|un saluto|saluti|un cordiale saluto|met vriendelijke groet|\
    met vriendelijke groeten|vriendelijke groet|vriendelijke groeten|met hartelijke groet|groeten|\
    groetjes|mvg|med vänliga hälsningar|med vänlig hälsning|vänliga hälsningar|hälsningar|mvh|\
    med venlig hilsen|venlig hilsen|med vennlig hilsen|vennlig hilsen|hilsen|best|br|kr";

/// Words that close a message only when they stand alone on the line and little follows.
pub(crate) const THANKS: &str = "thanks|thank you|many thanks|thanks a lot|thanks in advance|thank you in advance|thx|ty|danke|\
    vielen dank|besten dank|danke im voraus|vielen dank im voraus|merci|merci d'avance|\
    merci beaucoup|gracias|muchas gracias|gracias de antemano|grazie|grazie mille|bedankt|\
    alvast bedankt|tack|tack på förhand|tak|takk";

/// Beginnings of the line a telephone adds.
pub(crate) const DEVICE_LINES: &str = "sent from my |sent from outlook|sent from mail for|sent from proton|sent from yahoo|sent via |\
    get outlook for|von meinem iphone gesendet|von meinem ipad gesendet|\
    von meinem smartphone gesendet|gesendet von meinem|gesendet von mail für|gesendet von outlook|\
    gesendet mit der|gesendet mit |diese nachricht wurde von meinem|holen sie sich outlook für|\
    outlook für ios beziehen|outlook für android beziehen|envoyé de mon |envoyé depuis mon |\
    envoyé à partir de outlook|obtenez outlook pour|télécharger outlook pour|enviado desde mi |\
    enviado desde outlook|obtener outlook para|inviato da |inviato dal mio |ottieni outlook per|\
    verstuurd vanaf mijn |verzonden vanaf mijn |outlook voor ios downloaden|skickat från min |\
    skickat från outlook|hämta outlook för|sendt fra min |hent outlook til";

/// Words by which a line of a signature is known as a job title.
pub(crate) const TITLE_WORDS: &str = "manager director head lead chief officer president vp ceo cto cfo coo cio cmo engineer \
    developer architect consultant analyst specialist assistant coordinator administrator executive \
    representative founder cofounder owner partner advisor buyer accountant controller supervisor \
    technician designer scientist researcher professor attorney lawyer counsel secretary planner \
    dispatcher clerk agent strategist buchhalter buchhalterin leiter leiterin geschäftsführer \
    geschäftsführerin geschäftsführender vorstand prokurist prokuristin inhaber inhaberin berater \
    beraterin vertriebsleiter einkäufer einkäuferin sachbearbeiter sachbearbeiterin ingenieur \
    ingenieurin entwickler entwicklerin referent referentin disponent disponentin projektleiter \
    projektleiterin assistenz abteilungsleiter teamleiter teamleiterin vertrieb einkauf directeur \
    directrice responsable chef gérant gérante président présidente ingénieur ingénieure conseiller \
    conseillère chargé chargée comptable acheteur acheteuse directora gerente jefe jefa ingeniero \
    ingeniera encargado encargada comercial asesor asesora presidente direttore direttrice \
    ingegnere titolare impiegato impiegata directeurin medewerker adviseur inkoper verkoper \
    bestuurder verkoopleider säljare inköpare chefen ingenjör ekonom säljchef projektledare konsult \
    direktør konsulent sælger leder daglig purchasing procurement recruiter";
