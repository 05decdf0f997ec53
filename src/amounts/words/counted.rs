//! Words for things that are counted, words for things that a number names, and what joins numbers.

use std::sync::LazyLock;

use super::{Words, words};

/// Words for things that are counted, and never paid out.
pub static COUNTED: Words = LazyLock::new(|| {
    words(
        "second seconds minute minutes min mins hour hours hr hrs h day days night nights week \
         weeks month months year years sekunden minuten stunde stunden std tag tage tagen nacht \
         nächte nächten woche wochen monat monate monaten jahr jahre jahren heure heures jour jours \
         nuit nuits nuitée nuitées semaine semaines mois ans année années minutos hora horas día \
         días dia dias noche noches semana semanas meses año años noite noites mês anos ora ore \
         giorno giorni notte notti settimana settimane mese mesi anni uur dag dagen nachten weken \
         maand maanden jaar dni dní dagar nätter dage nætter dager дней дня ночей ночи \
         person persons people guest guests attendee attendees colleague colleagues employee \
         employees client clients customer customers participant participants traveller travellers \
         traveler travelers passenger passengers adult adults child children members managers personen leute gäste \
         gästen kollegen mitarbeiter kunden teilnehmer personne personnes invités collègues \
         personas clientes invitados pessoas persone ospiti collega mensen gasten osoby osób \
         personer \
         receipt receipts expense expenses purchase purchases claim claims transaction transactions \
         item items meal meals lunches dinners breakfasts coffees ride rides trip trips taxi taxis \
         flight flights ticket tickets stay stays room rooms bag bags page pages copy copies book \
         books licence licences license licenses seat seats rule rules sections category categories \
         approval approvals times beleg belege belegen ausgaben mahlzeit mahlzeiten fahrt fahrten \
         reise reisen zimmer regel regeln quittungen reçus repas trajets voyages règles chambres \
         recibos comidas viajes reglas refeições viagens ricevute pasti viaggi bonnen maaltijden \
         ritten reizen \
         klas klasse classe clase classes course courses pack packs \
         noce nocy nocí noci dniach dnia dnů dnech den dny osob óra nap napon éjszaka éjszakás éjszakát \
         fő zile zi nopți nopții persoane ore gece gün gecelik kişi saat päivä päivää päivän yö yötä yön \
         tuntia henkilöä timmar timer nätterna netter ночь дни дні ночі години людей осіб человек \
         человека гостей часа часов νύχτες νύχτα ημέρες ημερών μέρες άτομα ώρες đêm ngày giờ phút \
         người hari malam orang jam يوم أيام يوما يومين ليلة ليال ليالي ساعة ساعات شخص أشخاص دقيقة \
         ימים יום לילות שעות אנשים דקות روز شب ساعت نفر दिन दिनों रात रातों घंटे लोग लोगों व्यक्ति দিন দিনের রাত \
         km kms км χλμ كم كيلومتر קמ किमी কিমি w kw kwh mb mm cm kilometre kilometres kilometer kilometers miles litre litres liter liters kg gb tb \
         inch inches star stars",
    )
});

/// The beginnings of counted words in scripts that put no blank after them.
pub const COUNTERS: &[&str] = &[
    "年",
    "月",
    "日",
    "天",
    "泊",
    "晚",
    "晩",
    "夜",
    "時",
    "时",
    "小",
    "週",
    "周",
    "人",
    "名",
    "位",
    "件",
    "回",
    "次",
    "個",
    "个",
    "枚",
    "张",
    "張",
    "項",
    "项",
    "条",
    "號",
    "号",
    "餐",
    "顿",
    "食",
    "份",
    "杯",
    "室",
    "公里",
    "千米",
    "分钟",
    "分鐘",
    "分間",
    "分の",
    "か月",
    "ヶ月",
    "ヵ月",
    "カ月",
    "년",
    "월",
    "일",
    "명",
    "박",
    "건",
    "회",
    "개",
    "시",
    "분",
    "주",
    "인",
    "차",
    "끼",
    "킬로",
    "คืน",
    "วัน",
    "กม",
    "กิโล",
    "ชั่วโมง",
    "นาที",
    "คน",
    "ปี",
    "เดือน",
    "ครั้ง",
    "ใบ",
];

/// The words of [`COUNTED`] for people and times that their number can follow, as in
/// `attendees: 4`.
pub const COUNTS_BEFORE: &[&str] = &[
    "attendees",
    "guests",
    "people",
    "persons",
    "participants",
    "nights",
    "days",
    "teilnehmer",
    "gäste",
    "personen",
    "nächte",
    "tage",
    "personnes",
    "nuits",
    "jours",
    "personas",
    "noches",
    "días",
];

/// Groups of people, before `of` and their number.
pub const GROUPS: &[&str] = &["team", "group", "party"];

/// Words for a percentage.
pub static SHARE_WORDS: Words = LazyLock::new(|| {
    words(
        "percent percentage prozent procent prosent procenta procentów procente prosenttia persen \
         pct процентов процента відсотків százalék százaléka",
    )
});

/// Words between a count and what is counted.
pub static COUNT_ADJECTIVES: Words = LazyLock::new(|| {
    words(
        "business working calendar consecutive more other further additional full separate earlier \
         previous similar hotel team external single weitere volle autres otros altri",
    )
});

/// Words for things that the number after the word names: a rule, a section, a version, a code.
pub static LABELS: Words = LazyLock::new(|| {
    words(
        "rule rules section sections clause clauses article articles paragraph paragraphs chapter \
         appendix annex step page footnote version trip terminal gate platform level tier stage priority \
         week day quarter regel regeln ziffer absatz abschnitt \
         artikel kapitel seite règle règles paragraphe regla reglas sección artículo regra regras \
         seção artigo regola regole sezione articolo regels reguła regułą reguły pravidlo pravidla \
         правило правилу правила κανόνας κανόνα القاعدة قاعدة כלל नियम নিয়ম aturan ngày tháng",
    )
});

/// The words of [`LABELS`] that several numbers may follow.
pub const PLURAL_LABELS: &[&str] = &[
    "rules",
    "sections",
    "clauses",
    "articles",
    "paragraphs",
    "regeln",
    "règles",
    "reglas",
    "regras",
    "regole",
    "regels",
];

/// Abbreviations before a label's number, with a point after them.
pub const NUMBER_SIGNS: &[&str] = &[
    "no", "nos", "n", "nr", "art", "sec", "abs", "ziff", "núm", "num", "v", "ver", "č",
];

/// Words before the number of a document: `invoice number 1042`.
pub const NUMBER_WORDS: &[&str] = &[
    "number",
    "nr",
    "nummer",
    "numéro",
    "número",
    "numero",
    "numer",
    "numarası",
    "номер",
];

/// How labels end in scripts that put no blank after them.
pub const UNSPACED_LABELS: &[&str] = &[
    "第",
    "规则",
    "規則",
    "规定",
    "規定",
    "ルール",
    "版本",
    "条款",
    "규칙",
    "제",
    "조항",
];

/// Signs that join the numbers of dates and ranges.
pub const DASHES: &[char] = &['-', '–', '—', '‐', '‑', '−'];

/// Words between the ends of a range.
pub const RANGE_WORDS: &[&str] = &[
    "to", "or", "of", "bis", "oder", "von", "à", "ou", "a", "o", "tot",
];
