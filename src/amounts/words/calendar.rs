//! Months and days of the week.

use std::sync::LazyLock;

use super::{Words, words};

/// Months. Those in [`CAPITAL_MONTHS`] count only with a capital letter.
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
         февраля марта апреля мая июня июля августа сентября октября ноября декабря \
         desember helmikuuta tammikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta \
         syyskuuta lokakuuta marraskuuta joulukuuta ledna února března dubna května června července \
         srpna září října listopadu prosince január február március április május június július \
         augusztus szeptember október ianuarie februarie martie aprilie iunie iulie septembrie \
         octombrie noiembrie decembrie ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim \
         kasım aralık січня лютого березня квітня травня червня липня серпня вересня жовтня \
         грудня ιανουαρίου φεβρουαρίου μαρτίου απριλίου μαΐου ιουνίου ιουλίου αυγούστου \
         σεπτεμβρίου οκτωβρίου νοεμβρίου δεκεμβρίου يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس \
         سبتمبر أكتوبر نوفمبر ديسمبر בינואר בפברואר במרץ באפריל במאי ביוני ביולי באוגוסט בספטמבר \
         באוקטובר בנובמבר בדצמבר ינואר פברואר מרץ אפריל מאי יוני יולי אוגוסט ספטמבר אוקטובר נובמבר \
         דצמבר ژانویه فوریه آوریل ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر जनवरी फ़रवरी फरवरी मार्च \
         अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर জানুয়ারি ফেব্রুয়ারি মার্চ এপ্রিল মে জুন জুলাই \
         আগস্ট সেপ্টেম্বর অক্টোবর নভেম্বর ডিসেম্বর maret agustus",
    )
});

/// Months whose names in lower case are other English words.
pub const CAPITAL_MONTHS: &[&str] = &["may", "march", "mar"];

/// How months begin in Thai, which puts no blank after them.
pub const THAI_MONTHS: &[&str] = &[
    "มกรา",
    "กุมภา",
    "มีนา",
    "เมษา",
    "พฤษภา",
    "มิถุนา",
    "กรกฎา",
    "สิงหา",
    "กันยา",
    "ตุลา",
    "พฤศจิกา",
    "ธันวา",
];

/// Days of the week.
pub static WEEKDAYS: Words = LazyLock::new(|| {
    words(
        "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch \
         donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche \
         lunes martes miércoles jueves viernes sábado domingo",
    )
});
