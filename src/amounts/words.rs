//! The words that say what a number is, in the languages that models answer in most. All lists are
//! closed: a number beside an unknown word is an amount. Words that could as well stand beside an
//! amount, such as `may` and `total`, are not listed.

use std::collections::HashSet;
use std::sync::LazyLock;

/// A closed list of words, in lower case.
pub type Words = LazyLock<HashSet<&'static str>>;

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_whitespace().collect()
}

/// Currency codes that are recognised in lower case as well.
pub static CODES: Words = LazyLock::new(|| {
    words(
        "usd eur gbp chf cad aud nzd jpy inr cny rmb sek nok dkk pln czk huf ron krw brl mxn zar \
         sgd hkd thb myr",
    )
});

/// Names and abbreviations of currencies. Other words that a number stands beside change nothing:
/// the number is an amount without them.
pub static CURRENCIES: Words = LazyLock::new(|| {
    words(
        "dollar dollars euro euros pound pounds sterling quid franc francs franken fr sfr fs yen \
         yuan renminbi rupee rupees rs krona kronor krone kroner kronen kr kn koruna korun kč kc \
         zloty złoty złotych zł zl forint ft lei leu lev leva peso pesos reais rand rands r rm \
         ringgit rupiah rp baht dong shekel shekels dirham dirhams riyal riyals dinar dinars lira \
         ruble rubles rouble roubles руб рублей рубля грн hryvnia buck bucks cent cents pence penny \
         رس ريال درهم دولار يورو रुपये रुपए रु",
    )
});

/// Words before the name of a currency, as in `80 US dollars`.
pub static NATIONALITIES: Words = LazyLock::new(|| {
    words(
        "us american canadian australian british swiss danish swedish norwegian indian polish czech \
         mexican singapore",
    )
});

/// How names of currencies begin in scripts that put no blank after them.
pub const CURRENCY_BEGINNINGS: &[&str] = &[
    "元",
    "円",
    "圓",
    "圆",
    "원",
    "块",
    "塊",
    "角",
    "美元",
    "美金",
    "欧元",
    "歐元",
    "日元",
    "日圓",
    "日円",
    "港元",
    "港币",
    "加元",
    "澳元",
    "英镑",
    "英鎊",
    "人民币",
    "ドル",
    "ユーロ",
    "ポンド",
    "달러",
    "유로",
    "บาท",
];

/// Multiples that a number has to touch, as in `80k`.
pub const LETTER_MULTIPLES: &[&str] = &["k", "m", "b", "t", "mm", "mn", "bn", "tn", "cr", "тыс"];

/// Multiples that a blank or a hyphen may precede.
pub static MULTIPLES: Words = LazyLock::new(|| {
    words(
        "hundred hundreds thousand thousands million millions billion billions trillion dozen grand \
         lakh lakhs lac lacs crore crores mn mln mio mill mrd mld mlrd tsd hundert tausend \
         millionen milliarde milliarden mille milliers milliard milliards mil miles millón millon \
         millones milhão milhões mila milione milioni miliardi duizend miljoen miljard tusen tusind \
         miljon miljoner millioner tys tysiąc tysiące tysięcy milion milionów tisíc milionů ezer \
         bin milyon тыс тысяч тысячи млн млрд миллион миллионов тис ألف آلاف مليون مليار هزار हज़ार \
         हजार लाख करोड करोड़ พัน หมื่น แสน ล้าน",
    )
});

/// Multiples that are letters, at the beginning of a word that no blank ends.
pub const MULTIPLE_LETTERS: &[char] = &[
    '十', '百', '千', '万', '萬', '億', '亿', '兆', '십', '백', '천', '만', '억', '조',
];

/// Numerals of Chinese and Japanese.
pub const HAN_NUMERALS: &[char] = &[
    '〇', '零', '一', '二', '两', '兩', '三', '四', '五', '六', '七', '八', '九', '十', '百', '千',
    '万', '萬', '億', '亿',
];

/// What is counted, and never paid out.
pub static COUNTED: Words = LazyLock::new(|| {
    words(
        "second seconds minute minutes min mins hour hours hr hrs h day days night nights week \
         weeks month months year years sekunden minuten stunde stunden std tag tage tagen nacht \
         nächte nächten woche wochen monat monate monaten jahr jahre jahren heure heures jour jours \
         nuit nuits nuitée nuitées semaine semaines mois ans année années minutos hora horas día \
         días dia dias noche noches semana semanas meses año años noite noites mês anos ora ore \
         giorno giorni notte notti settimana settimane mese mesi anni uur dag dagen nachten weken \
         maand maanden jaar dni nocy dní dagar nätter dage nætter dager дней дня ночей ночи gün \
         person persons people guest guests attendee attendees colleague colleagues employee \
         employees client clients customer customers participant participants traveller travellers \
         traveler travelers passenger passengers adult adults members managers personen leute gäste \
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
         km kms kilometre kilometres kilometer kilometers miles litre litres liter liters kg gb tb \
         inch inches star stars",
    )
});

/// What is counted, at the beginning of a word that no blank ends.
pub const COUNTER_LETTERS: &[char] = &[
    '年', '月', '日', '天', '泊', '晚', '夜', '時', '时', '小', '週', '周', '人', '名', '位', '件',
    '回', '次', '個', '个', '枚', '张', '張', '項', '项', '条', '號', '号', '년', '월', '일', '명',
    '박', '건', '회', '개',
];

/// Words between a count and what is counted.
pub static COUNT_ADJECTIVES: Words = LazyLock::new(|| {
    words(
        "business working calendar consecutive more other further additional full separate earlier \
         previous similar hotel team external single weitere volle autres otros altri",
    )
});

/// Months; `May` and `March` count only with a capital letter, see `plain`.
pub static MONTHS: Words = LazyLock::new(|| {
    words(
        "january february march april may june july august september october november december jan \
         feb mar apr jun jul aug sep sept oct nov dec januar jänner februar märz mai juni juli \
         oktober dezember mrz okt dez janvier février mars avril juin juillet août septembre \
         octobre novembre décembre janv févr avr juil déc enero febrero marzo abril mayo junio \
         julio agosto septiembre octubre noviembre diciembre janeiro fevereiro março maio junho \
         julho setembro outubro novembro dezembro gennaio febbraio aprile maggio giugno luglio \
         settembre ottobre dicembre januari februari maart mei augustus augusti stycznia lutego \
         marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia января \
         февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    )
});

/// Months whose names are other words of English in lower case.
pub const CAPITAL_MONTHS: &[&str] = &["may", "march", "mar", "mars"];

/// Days of the week.
pub static WEEKDAYS: Words = LazyLock::new(|| {
    words(
        "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch \
         donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche \
         lunes martes miércoles jueves viernes sábado domingo",
    )
});

/// Words of which the number after them is the name: a rule, a section, a version, a code.
pub static LABELS: Words = LazyLock::new(|| {
    words(
        "rule rules section sections clause clauses article articles paragraph paragraphs chapter \
         appendix annex step page footnote version trip regel regeln ziffer absatz abschnitt \
         artikel kapitel seite règle règles paragraphe regla reglas sección artículo regra regras \
         seção artigo regola regole sezione articolo regels",
    )
});

/// Of [`LABELS`], those that several numbers may follow.
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
    "no", "nos", "nr", "art", "sec", "abs", "ziff", "núm", "v", "ver",
];

/// Signs that join the numbers of dates and ranges.
pub const DASHES: &[char] = &['-', '–', '—', '‐', '‑', '−'];

/// Words between the ends of a range.
pub const RANGE_WORDS: &[&str] = &[
    "to", "or", "of", "bis", "oder", "von", "à", "ou", "a", "o", "tot",
];
