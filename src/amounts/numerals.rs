//! Numbers in words: which words are numerals, and what several of them are worth together. Crates
//! that do this need to know the language, and a sentence does not say which one it is in, so the
//! languages share one table here. A word that also means something else in one of them is left
//! out: `en`, `et`, `due`, `on`, `to`, `cent`.

use std::collections::HashMap;
use std::sync::LazyLock;

use rust_decimal::Decimal;

/// The numerals of English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Danish,
/// Norwegian, Polish, Russian and Ukrainian; of other languages, the tens.
const NUMERALS: &[(u64, &str)] = &[
    (0, "zero null nul zéro cero noll"),
    (
        1,
        "one ein eins eine einen einem un une uno una uma één ett jeden один одна одну",
    ),
    (
        2,
        "two zwei deux dos dois duas twee två dwa dwie два две дві",
    ),
    (3, "three drei trois tres tre tré três drie trzy три"),
    (
        4,
        "four vier quatre cuatro quattro quatro fyra fire cztery четыре чотири",
    ),
    (5, "five fünf fuenf cinq cinco cinque vijf fem pięć пять"),
    (6, "six sechs seis sei zes sex seks sześć шесть шість"),
    (
        7,
        "seven sieben sept siete sette sete zeven sju syv siedem семь сім",
    ),
    (
        8,
        "eight acht huit ocho otto oito åtta otte åtte osiem восемь вісім",
    ),
    (9, "nine neun neuf nueve nove negen nio ni dziewięć девять"),
    (
        10,
        "ten zehn dix diez dieci dez tien tio ti dziesięć десять",
    ),
    (
        11,
        "eleven elf undici onze elva elleve jedenaście одиннадцать",
    ),
    (
        12,
        "twelve zwölf zwoelf douze doce dodici doze twaalf tolv dwanaście двенадцать",
    ),
    (
        13,
        "thirteen dreizehn treize trece tredici treze dertien tretton tretten trzynaście \
         тринадцать",
    ),
    (
        14,
        "fourteen vierzehn quatorze catorce quattordici catorze veertien fjorton fjorten \
         czternaście четырнадцать",
    ),
    (
        15,
        "fifteen fünfzehn fuenfzehn quinze quince quindici vijftien femton femten piętnaście \
         пятнадцать",
    ),
    (
        16,
        "sixteen sechzehn seize dieciséis sedici dezesseis zestien sexton seksten szesnaście \
         шестнадцать",
    ),
    (
        17,
        "seventeen siebzehn diecisiete diciassette dezessete zeventien sjutton sytten \
         siedemnaście семнадцать",
    ),
    (
        18,
        "eighteen achtzehn dieciocho diciotto dezoito achttien arton atten osiemnaście \
         восемнадцать",
    ),
    (
        19,
        "nineteen neunzehn diecinueve diciannove dezenove negentien nitton nitten \
         dziewiętnaście девятнадцать",
    ),
    (
        20,
        "twenty zwanzig vingt vingts veinte venti vent vinte twintig tjugo tyve tjue dwadzieścia \
         двадцать двадцять kaksikymmentä dvacet húsz douăzeci yirmi είκοσι عشرون عشرين עשרים बीस",
    ),
    (
        30,
        "thirty dreißig dreissig trente treinta trenta trent trinta dertig trettio tredive tretti \
         trzydzieści тридцать тридцять kolmekymmentä třicet harminc treizeci otuz τριάντα ثلاثون \
         ثلاثين שלושים तीस",
    ),
    (
        40,
        "forty fourty vierzig quarante cuarenta quaranta quarant quarenta veertig fyrtio fyrre \
         førti czterdzieści сорок neljäkymmentä čtyřicet negyven patruzeci kırk σαράντα أربعون \
         أربعين ארבעים चालीस",
    ),
    (
        50,
        "fifty fünfzig fuenfzig cinquante cincuenta cinquanta cinquant cinquenta vijftig femtio \
         halvtreds femti pięćdziesiąt пятьдесят viisikymmentä padesát ötven cincizeci elli πενήντα \
         خمسون خمسين חמישים पचास",
    ),
    (
        60,
        "sixty sechzig soixante sesenta sessanta sessant sessenta zestig sextio tres seksti \
         sześćdziesiąt шестьдесят kuusikymmentä šedesát hatvan șaizeci altmış εξήντα ستون ستين \
         שישים साठ",
    ),
    (
        70,
        "seventy siebzig septante setenta settanta settant zeventig sjuttio halvfjerds sytti \
         siedemdziesiąt семьдесят seitsemänkymmentä sedmdesát hetven șaptezeci yetmiş εβδομήντα \
         سبعون سبعين שבעים सत्तर",
    ),
    (
        80,
        "eighty achtzig huitante octante ochenta ottanta ottant oitenta tachtig åttio firs åtti \
         osiemdziesiąt восемьдесят kahdeksankymmentä osmdesát nyolcvan optzeci seksen ογδόντα \
         ثمانون ثمانين שמונים अस्सी",
    ),
    (
        90,
        "ninety neunzig nonante noventa novanta novant negentig nittio halvfems nitti \
         dziewięćdziesiąt девяносто дев'яносто дев’яносто yhdeksänkymmentä devadesát kilencven \
         nouăzeci doksan ενενήντα تسعون تسعين תשעים नब्बे",
    ),
    (
        100,
        "hundred hundert cien ciento cento cem honderd hundra hundrede hundre sto сто \
         sata száz sută εκατό مئة مائة מאה सौ",
    ),
    (200, "doscientos duzentos двести двісті dwieście"),
    (300, "trescientos trezentos триста trzysta"),
    (
        400,
        "cuatrocientos quatrocentos четыреста чотириста czterysta",
    ),
    (500, "quinientos quinhentos пятьсот pięćset"),
    (600, "seiscientos seiscentos шестьсот sześćset"),
    (700, "setecientos setecentos семьсот siedemset"),
    (800, "ochocientos oitocentos восемьсот osiemset"),
    (900, "novecientos novecentos девятьсот dziewięćset"),
    (
        1_000,
        "thousand tausend mille mil mila duizend tusen tusind tysiąc тысяча тысячи тысяч тисяч",
    ),
    (
        1_000_000,
        "million millions millionen millón milhão milione miljoen",
    ),
    (
        1_000_000_000,
        "billion billions milliarde milliarden milliard",
    ),
];
/// The syllables that join a unit with a ten in one word, as in `fünfundneunzig`, `vijfennegentig`
/// and `femoghalvfems`.
const JOINTS: [&str; 4] = ["und", "en", "ën", "og"];
/// The longest word that is split into numerals.
const MAX_BYTES: usize = 80;

static BY_WORD: LazyLock<HashMap<&'static str, u64>> = LazyLock::new(|| {
    let words_of = |(n, words): &(u64, &'static str)| {
        let n = *n;
        words.split_whitespace().map(move |word| (word, n))
    };
    // The first meaning counts: `tres` is three in Spanish, and sixty in Danish.
    NUMERALS.iter().rev().flat_map(words_of).collect()
});

/// The values of the numerals that a word consists of: one, or several as in `novantacinque`.
pub fn numerals(word: &str) -> Option<Vec<u64>> {
    match BY_WORD.get(word) {
        Some(n) => Some(vec![*n]),
        None if word.len() <= MAX_BYTES => split(word).filter(|parts| !parts.is_empty()),
        None => None,
    }
}

/// Splits a word into numerals. The longest numeral at its beginning is tried first.
fn split(word: &str) -> Option<Vec<u64>> {
    if word.is_empty() {
        return Some(Vec::new());
    }
    let ends = word.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
    // No numeral of two letters is part of a word.
    ends.filter(|end| *end > 2).find_map(|end| {
        let (first, rest) = (*BY_WORD.get(&word[..end])?, &word[end..]);
        let joined = JOINTS.iter().find_map(|joint| rest.strip_prefix(joint));
        if let Some(joined) = joined.filter(|_| first < 10)
            && let Some(mut parts) = split(joined)
            && let Some(ten) = parts.first_mut()
            && (20..100).contains(ten)
        {
            *ten += first;
            return Some(parts);
        }
        let mut parts = split(rest)?;
        parts.insert(0, first);
        Some(parts)
    })
}

/// What numerals are worth together; `None` if they make no number.
pub fn value(numerals: impl IntoIterator<Item = u64>) -> Option<Decimal> {
    let (mut total, mut below_thousand, mut last) = (0_u64, 0_u64, u64::MAX);
    for n in numerals {
        match n {
            100 => below_thousand = below_thousand.max(1).checked_mul(n)?,
            1_000.. => {
                total = total.checked_add(below_thousand.max(1).checked_mul(n)?)?;
                below_thousand = 0;
            }
            // The French `quatre vingts` is four times twenty, and the four is in the sum already.
            20 if last == 4 => below_thousand += 76,
            // `twenty five` is a number, `five twenty` is not. `soixante quinze` is one in French.
            _ => {
                let fits = match n {
                    ..10 => last >= 20,
                    10..20 => last >= 100 || matches!(last, 60 | 80),
                    20..100 => last >= 100,
                    _ => last >= 1_000,
                };
                below_thousand = fits.then_some(below_thousand + n)?;
            }
        }
        last = match n {
            20 if last == 4 => 80,
            n => n,
        };
    }
    total.checked_add(below_thousand).map(Decimal::from)
}

/// The digits of Chinese and Japanese with their values, including the forms that banks write.
const HAN_DIGITS: &[(char, u64)] = &[
    ('〇', 0),
    ('零', 0),
    ('一', 1),
    ('壹', 1),
    ('壱', 1),
    ('二', 2),
    ('两', 2),
    ('兩', 2),
    ('贰', 2),
    ('貳', 2),
    ('弐', 2),
    ('三', 3),
    ('叁', 3),
    ('參', 3),
    ('参', 3),
    ('四', 4),
    ('肆', 4),
    ('五', 5),
    ('伍', 5),
    ('六', 6),
    ('陆', 6),
    ('陸', 6),
    ('七', 7),
    ('柒', 7),
    ('八', 8),
    ('捌', 8),
    ('九', 9),
    ('玖', 9),
];
/// The multiples of Chinese and Japanese with their values, including the forms that banks write.
const HAN_MULTIPLES: &[(char, u64)] = &[
    ('十', 10),
    ('拾', 10),
    ('百', 100),
    ('佰', 100),
    ('千', 1_000),
    ('仟', 1_000),
    ('万', 10_000),
    ('萬', 10_000),
    ('億', 100_000_000),
    ('亿', 100_000_000),
];

/// Whether a character is a numeral of Chinese and Japanese.
pub fn is_han_numeral(c: char) -> bool {
    let mut known = HAN_DIGITS.iter().chain(HAN_MULTIPLES);
    c >= '〇' && known.any(|(numeral, _)| *numeral == c)
}

/// What a word of such numerals is worth; `None` if they make no number.
pub fn han_value(word: &str) -> Option<Decimal> {
    let named = |list: &[(char, u64)], c| {
        let found = list.iter().find(|(numeral, _)| *numeral == c);
        found.map(|(_, n)| *n)
    };
    let (mut total, mut below_myriad, mut digits) = (0_u64, 0_u64, None::<u64>);
    for c in word.chars() {
        if let Some(n) = named(HAN_DIGITS, c) {
            digits = Some(digits.unwrap_or(0).checked_mul(10)?.checked_add(n)?);
            continue;
        }
        let n = named(HAN_MULTIPLES, c)?;
        if n < 10_000 {
            below_myriad = below_myriad.checked_add(digits.take().unwrap_or(1).checked_mul(n)?)?;
        } else {
            let times = below_myriad.checked_add(digits.take().unwrap_or(0))?;
            total = total.checked_add(times.max(1).checked_mul(n)?)?;
            below_myriad = 0;
        }
    }
    let value = total
        .checked_add(below_myriad)?
        .checked_add(digits.unwrap_or(0))?;
    Some(Decimal::from(value))
}
