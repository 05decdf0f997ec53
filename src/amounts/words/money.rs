//! Names of currencies, multiples, and numerals of scripts without blanks.

use std::sync::LazyLock;

use super::{Words, words};

/// Currency codes that are recognised in lower case as well.
pub static CODES: Words = LazyLock::new(|| {
    words(
        "usd eur gbp chf cad aud nzd jpy inr cny rmb sek nok dkk pln czk huf ron krw brl mxn zar \
         sgd hkd thb myr",
    )
});

/// Names and abbreviations of currencies. Other words for money need not be listed: a number beside
/// them is an amount anyway.
pub static CURRENCIES: Words = LazyLock::new(|| {
    words(
        "dollar dollars dollari dollaria dólar dólares euro euros euroa euró eurós euroja eur avro \
         ευρώ евро євро یورو यूरो ยูโร ดอลลาร์ pound pounds sterling quid franc francs franken fr sfr fs yen \
         yuan renminbi rupee rupees rs krona kronor krone kroner kronen kr kn koruna korun kč kc \
         zloty złoty złotych zł zl forint ft lei leu lev leva peso pesos reais rand rands r rm \
         ringgit rupiah rp baht dong shekel shekels dirham dirhams riyal riyals dinar dinars lira \
         ruble rubles rouble roubles руб рублей рубля рубль доллар доллара долларов долларів грн \
         hryvnia гривень гривні гривня tl đồng lek rial rials shilling shillings naira cedi cedis \
         korona korun forintot dolar dolarów dolarů lir won buck bucks cent cents pence penny \
         رس ريال ريالا درهم دولار دولارا دينار جنيه يورو تومان دلار ریال שקל שקלים שח דולר אירו টাকা रुपया \
         रुपये रुपए रु",
    )
});

/// The words of [`CURRENCIES`] that name nothing else, so that a word before one may be a number.
pub static CURRENCY_NAMES: Words = LazyLock::new(|| {
    words(
        "dollar dollars dollaria dólares euro euros euroa euroja euró ευρώ евро євро يورو یورو यूरो \
         avro sterling quid francs franken franchi yen yuan renminbi rupee rupees roupies rupias \
         rupiah zloty złoty złotych złote zlotys kronor kronen kroner krona korun koruny forint \
         forints lei pesos reais rands ringgit baht shekels dirhams riyals dinars liras lira \
         rubles roubles рублей рубля долларов доллара доларів гривень гривні hryvnia dolarów \
         dolarů shillings shilingi naira cedis bucks eur eura usd gbp chf лева ரூபாய் రూపాయలు دولار دولارا ريال ريالا درهم دينار جنيه تومان دلار \
         ریال שקל שקלים דולר אירו रुपये रुपए টাকা đồng",
    )
});

/// Words that precede the name of a currency without being a number, as in `converted to euros`.
pub static BEFORE_CURRENCY: Words = LazyLock::new(|| {
    words(
        "in into to from by with for per and or no any other all only each every this that these \
         those its their your our s the a an than non more fewer foreign local currency company \
         policy amount amounts value total equivalent rate cap limit price cost convert converts \
         converted conversion converting exchange between using original under is was are as above \
         der die das den dem des von vom im nach zu zum zur für pro je und oder kein keine keinen \
         jeder betrag beträge währung \
         le la les des du l en vers par et ou montant montants aucun chaque entre converti convertis \
         el los las a por y o e importe moneda ningún cada convertido convertidos \
         il lo i gli al allo alla importo valuta per ogni convertito \
         os as um uma em para ao aos valor cada nenhum \
         het een naar per bedrag van \
         w na za z do i lub kwota i på till per och eller beloppet til og eller beløbet beløbet \
         v ve do na za nebo částka в на за из и или сумма у або сума \
         σε του το των από και ή ποσό στα \
         من إلى في و أو مبلغ المبلغ به از و یا",
    )
});

/// Words between a numeral and the name of a currency, as in `dozens of euros`.
pub const OF_WORDS: &[&str] = &["of", "de", "d", "di"];

/// Words before the name of a currency, as in `80 US dollars`.
pub static NATIONALITIES: Words = LazyLock::new(|| {
    words(
        "us american canadian australian british swiss danish swedish norwegian indian polish czech \
         mexican singapore amerikanische amerikanischen schweizer kanadische kanadischen australische \
         américains canadiens australiens suisses estadounidenses mexicanos suizos americanos \
         svizzeri americani amerikaanse zwitserse amerykańskich szwajcarskich американских \
         швейцарских",
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
    "ยูโร",
    "ดอลลาร์",
];

/// Multiples that have to touch their number or be beside a currency, as in `80k` and `80 k€`.
pub const LETTER_MULTIPLES: &[&str] =
    &["k", "m", "b", "t", "mm", "mn", "bn", "tn", "cr", "тыс", "l"];

/// Multiples that a blank or a hyphen may precede.
pub static MULTIPLES: Words = LazyLock::new(|| {
    words(
        "hundred hundreds thousand thousands million millions billion billions trillion dozen grand \
         lakh lakhs lac lacs crore crores cr mn mln mio mill mrd mld mlrd tsd hundert tausend \
         millionen milliarde milliarden mille milliers milliard milliards mil miles millón millon \
         millones milhão milhões mila milione milioni miliardi duizend miljoen miljard tusen tusind \
         miljon miljoner millioner tys tysiąc tysiące tysięcy milion milionów tisíc milionů ezer \
         tuhat tuhatta miljoonaa mii milioane χιλιάδες εκατομμύρια nghìn ngàn triệu tỷ ribu rb juta jt \
         bin milyon тыс тысяч тысячи млн млрд миллион миллионов тис тисяч мільйонів ألف آلاف مليون مليار هزار \
         אלף אלפים מיליון हज़ार हजार लाख करोड करोड़ হাজার লাখ কোটি",
    )
});

/// The beginnings of multiples in scripts that put no blank after them.
pub const MULTIPLE_BEGINNINGS: &[&str] = &[
    "十",
    "百",
    "千",
    "万",
    "萬",
    "億",
    "亿",
    "兆",
    "십",
    "백",
    "천",
    "만",
    "억",
    "조",
    "พัน",
    "หมื่น",
    "แสน",
    "ล้าน",
    "ร้อย",
];

/// Numerals of Thai.
pub const THAI_NUMERALS: &[&str] = &[
    "หนึ่ง",
    "เอ็ด",
    "สอง",
    "ยี่",
    "สาม",
    "สี่",
    "ห้า",
    "หก",
    "เจ็ด",
    "แปด",
    "เก้า",
    "สิบ",
    "ร้อย",
    "พัน",
    "หมื่น",
    "แสน",
    "ล้าน",
];

/// Numerals of Korean.
pub const HANGUL_NUMERALS: &[char] = &[
    '일', '이', '삼', '사', '오', '육', '칠', '팔', '구', '십', '백', '천', '만', '억',
];
