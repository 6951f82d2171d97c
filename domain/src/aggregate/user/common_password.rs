//! Passwords that are guessed first: words of a list with a few characters added or replaced, patterns of the
//! keyboard, repetitions, and what is known of the person. New passwords are checked, as NIST SP 800-63B
//! (3.1.1.2) asks; an existing one still signs in. There are no rules about kinds of characters: they make
//! passwords that are easier to guess, and harder to remember.

use std::{collections::HashSet, fmt, iter::once, sync::LazyLock};

use unicode_normalization::UnicodeNormalization as _;

use super::password::{MAX_PASSWORD, MIN_PASSWORD, Password};

/// Words that common passwords are made of, and some that are no words; in lower case, separated by white
/// space.
const COMMON: &str = include_str!("common_passwords.txt");

static WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| COMMON.split_whitespace().collect());

/// The name of this shop, which a guess for it begins with.
const SHOP: &str = "foldline";

/// The most characters around a common word that leave it common.
const MAX_ADDED: usize = 6;

/// The shortest part of an email or a name that is looked for.
const MIN_PERSONAL: usize = 4;

/// The least different characters.
const MIN_DISTINCT: usize = 3;

/// The shortest part of a pattern: three neighbours of the keyboard or of the alphabet.
const MIN_RUN: usize = 3;

/// The shortest pattern that stays common with a few characters around it.
const MIN_PATTERN: usize = 6;

/// The rows and the slanted columns of common keyboards, without shift: Latin, Russian, Ukrainian, Bulgarian,
/// Serbian, Greek, Hebrew, Arabic, Persian, Thai, Hindi (`InScript`), Armenian, Georgian and Japanese Kana;
/// and the digits of other scripts. The keys of Korean are those of `qwertyuiop`, see [`latin_keys`].
const KEYS: &[&str] = &[
    "1234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "qwertzuiopüõ",
    "asdfghjklöä",
    "qwertyuiopå",
    "asdfghjkløæ",
    "asdfghjklñ",
    "asdfghjklç",
    "qwertyuıopğü",
    "asdfghjklşi",
    "zxcvbnmöç",
    "fgğıodrnhpqw",
    "uieaütkmlyş",
    "jövcçzsb",
    "ąžertyuiop",
    "ěščřžýáíé",
    "pyfgcrl",
    "aoeuidhtns",
    "qjkxbmwvz",
    "qwfpgjluy",
    "arstdhneio",
    "zxcvbkm",
    "xvlcwkhgfqß",
    "uiaeosnrtdy",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "1qay",
    "6zhn",
    "qaz",
    "wsx",
    "edc",
    "rfv",
    "tgb",
    "!@#$%^&*()",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
    "йцукенгшщзхї",
    "фівапролджє",
    "йцукенгшўзх",
    "1йфя",
    "2цыч",
    "3увс",
    "4кам",
    "5епи",
    "6нрт",
    "йфя",
    "цыч",
    "увс",
    "явертъуиопшщ",
    "асдфгхйкл",
    "зьцжбнм",
    "уеишщксдзц",
    "љњертзуиопшђ",
    "асдфгхјклчћ",
    "ѕџцвбнм",
    "ςερτυθιοπ",
    "ασδφγηξκλ",
    "ζχψωβνμ",
    "קראטוןםפ",
    "שדגכעיחלךף",
    "זסבהנמצתץ",
    "ضصثقفغعهخحجد",
    "شسيبلاتنمكط",
    "ئءؤرلاىةوزظ",
    "ضصثقفغعهخحجچ",
    "شسیبلاتنمکگ",
    "ظطزرذدپو",
    "ๆไำพะัีรนยบล",
    "ฟหกดเ้่าสวง",
    "ผปแอิืทมใฝ",
    "ौैाीूबहगदजड",
    "ोे्िुपरकतचट",
    "ըթփձջևրչճժծ",
    "քոեռտըւիօպխծշ",
    "ასდფგჰჯკლ",
    "ქწერტყუიოპ",
    "ზხცვბნმ",
    "たていすかんなにらせ",
    "ちとしはきくまのりれけ",
    "つさそひこみもねるめ",
    "ぬふあうえおやゆよわ",
    "あいうえおかきくけこさしすせそたちつてと",
    "٠١٢٣٤٥٦٧٨٩",
    "۰۱۲۳۴۵۶۷۸۹۰",
    "१२३४५६७८९०",
    "一二三四五六七八九十",
];

/// Why a new password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordFault {
    /// It is too short or too long.
    Length,
    /// It is one of the first that are guessed.
    Common,
    /// It is little more than the person's email or name.
    Personal,
}

impl fmt::Display for PasswordFault {
    /// The message for the field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "has {MIN_PASSWORD} to {MAX_PASSWORD} characters"),
            Self::Common => {
                f.write_str("is one of the first that are guessed; three or four words are better")
            }
            Self::Personal => f.write_str("is little more than your email or your name"),
        }
    }
}

impl Password {
    /// Why this cannot be the new password of a person with these names and emails; `None`: it can.
    pub fn fault(&self, personal: &[&str]) -> Option<PasswordFault> {
        if !self.fits() {
            return Some(PasswordFault::Length);
        }
        let text = self.normalised().to_lowercase();
        if is_common(&text) {
            return Some(PasswordFault::Common);
        }
        is_personal(&text, personal).then_some(PasswordFault::Personal)
    }
}

fn is_common(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let distinct: HashSet<char> = characters.iter().copied().collect();
    if distinct.len() < MIN_DISTINCT || is_repetition(&characters) {
        return true;
    }
    let (plain, latin, russian) = (plain_letters(text), latin_keys(text), russian_keys(text));
    [text, plain.as_str(), latin.as_str(), russian.as_str()]
        .into_iter()
        .any(|form| is_common_word(form) || is_pattern_with_additions(form) || leaves_little(form, SHOP))
}

/// Whether a text is a common word, or one with a few digits and signs before and after it.
fn is_common_word(text: &str) -> bool {
    if WORDS.contains(text) {
        return true;
    }
    let is_added = |character: char| !character.is_alphabetic();
    let core = text.trim_matches(is_added);
    let added = text.chars().count().saturating_sub(core.chars().count());
    // "pass word" and "pass-word" as well
    let joined: String = text
        .chars()
        .filter(|character| character.is_alphanumeric())
        .collect();
    let is_core = || WORDS.contains(core) || WORDS.contains(plain_letters(core).as_str());
    (added <= MAX_ADDED && is_core()) || WORDS.contains(joined.as_str())
}

/// The letters that digits and signs commonly stand for.
fn plain_letters(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '0' => 'o',
            '1' | '!' | '|' => 'i',
            '3' | '\u{20ac}' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' | '+' => 't',
            other => other,
        })
        .collect()
}

/// Whether a text is a shorter one, repeated.
fn is_repetition(text: &[char]) -> bool {
    (1..=text.len() / 2).any(|length| {
        text.chunks(length)
            .all(|chunk| text.get(..chunk.len()).is_some_and(|first| first == chunk))
    })
}

/// The keys of Russian letters, and those of Latin letters at the same places.
const RUSSIAN_KEYS: &str = "йцукенгшщзхъфывапролджэячсмитьбю";
const LATIN_KEYS: &str = "qwertyuiop[]asdfghjkl;'zxcvbnm,.";

/// The keys of Korean consonants before a vowel, of vowels, and of consonants after one, in the order of
/// Unicode.
const INITIALS: &str = "r r s e e f a q q t t d w w c z x v g";
const VOWELS: &str = "k o i o j p u p h hk ho hl y n nj np nl b m ml l";
const FINALS: &str = "r r rt s sw sg e f fr fa fq ft fx fv fg a q qt t t d w c z x v g";

/// A text of Russian or Korean letters as the keys say it in Latin letters: a common word is typed in another
/// layout too.
fn latin_keys(text: &str) -> String {
    let korean = |keys: &'static str, first: char, letter: char| {
        let index = u32::from(letter).checked_sub(u32::from(first))?;
        keys.split(' ').nth(usize::try_from(index).ok()?)
    };
    let mut latin = String::with_capacity(text.len());
    for character in text.chars() {
        if let Some(key) = other_key(RUSSIAN_KEYS, LATIN_KEYS, character) {
            latin.push(key);
            continue;
        }
        // A syllable is made of its letters; one that stands alone has the form of one in a syllable.
        for letter in once(character).nfkd() {
            let keys = match letter {
                '\u{1100}'..='\u{1112}' => korean(INITIALS, '\u{1100}', letter),
                '\u{1161}'..='\u{1175}' => korean(VOWELS, '\u{1161}', letter),
                '\u{11a8}'..='\u{11c2}' => korean(FINALS, '\u{11a8}', letter),
                _ => None,
            };
            match keys {
                Some(keys) => latin.push_str(keys),
                None => latin.push(letter),
            }
        }
    }
    latin
}

/// A text of Latin letters as the keys say it in Russian ones.
fn russian_keys(text: &str) -> String {
    let russian = |character| other_key(LATIN_KEYS, RUSSIAN_KEYS, character).unwrap_or(character);
    text.chars().map(russian).collect()
}

/// The character at the same key of another layout.
fn other_key(from: &str, to: &str, character: char) -> Option<char> {
    let at = from.chars().position(|key| key == character)?;
    to.chars().nth(at)
}

/// Whether a text is a pattern, or one of some length with a few digits and signs before and after it.
fn is_pattern_with_additions(text: &str) -> bool {
    let characters = |text: &str| text.chars().collect::<Vec<_>>();
    let core = characters(text.trim_matches(|character: char| !character.is_alphabetic()));
    let whole = characters(text);
    let added = whole.len().saturating_sub(core.len());
    is_pattern(&whole) || (core.len() >= MIN_PATTERN && added <= MAX_ADDED && is_pattern(&core))
}

/// Whether a text is made of neighbours alone, as on a keyboard or in the alphabet; each may be repeated.
fn is_pattern(text: &[char]) -> bool {
    let mut letters = text.to_vec();
    letters.dedup();
    let mut rest = letters.as_slice();
    if rest.len() < MIN_RUN {
        return true;
    }
    while !rest.is_empty() {
        let run = run_length(rest);
        if run < MIN_RUN {
            return false;
        }
        rest = rest.get(run..).unwrap_or_default();
    }
    true
}

/// The length of the longest run that a text begins with.
fn run_length(text: &[char]) -> usize {
    let step = |by: i64| {
        let is_next = |pair: &[char]| match pair {
            [one, next] => i64::from(u32::from(*next)) - i64::from(u32::from(*one)) == by,
            _ => false,
        };
        1 + text.windows(2).take_while(|pair| is_next(pair)).count()
    };
    let on_keys = |keys: &str| {
        let forwards: Vec<char> = keys.chars().collect();
        let backwards: Vec<char> = forwards.iter().rev().copied().collect();
        [forwards, backwards]
            .iter()
            .map(|keys| {
                let Some(at) = text
                    .first()
                    .and_then(|first| keys.iter().position(|key| key == first))
                else {
                    return 0;
                };
                let along = keys.iter().skip(at).zip(text);
                along.take_while(|(key, character)| key == character).count()
            })
            .max()
            .unwrap_or(0)
    };
    let longest = KEYS.iter().map(|keys| on_keys(keys)).max().unwrap_or(0);
    longest.max(step(1)).max(step(-1))
}

/// Whether little of a password is left without the parts of the person's names and emails.
fn is_personal(text: &str, personal: &[&str]) -> bool {
    personal.iter().any(|of_person| {
        let of_person = of_person.to_lowercase();
        let whole = of_person.trim();
        let joined: String = whole
            .chars()
            .filter(|character| character.is_alphanumeric())
            .collect();
        let local = whole.split('@').next().unwrap_or_default();
        let parts = local.split(|character: char| !character.is_alphanumeric());
        parts
            .chain([whole, local, joined.as_str()])
            .any(|part| part.chars().count() >= MIN_PERSONAL && leaves_little(text, part))
    })
}

/// Whether a text has the part, and without it is too short for a password.
fn leaves_little(text: &str, part: &str) -> bool {
    text.contains(part) && text.replace(part, "").chars().count() < MIN_PASSWORD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, personal: &[&str]) -> Option<PasswordFault> {
        Password::from(text.to_owned()).fault(personal)
    }

    #[test]
    fn common_passwords_are_refused() {
        for common in [
            "password",
            "Password",
            "PASSWORD1",
            "P@ssw0rd",
            "p@$$w0rd!",
            "Passw0rd2024",
            "123password",
            "12345678",
            "123456789",
            "87654321",
            "11223344",
            "iloveyou",
            "ILoveYou2",
            "sunshine",
            "Football1",
            "qwertyuiop",
            "qwertz123",
            "1qaz2wsx",
            "asdfghjkl",
            "qwe123rty",
            "abc123def",
            "abcdefgh",
            "zyxwvuts",
            "aaaaaaaa",
            "abababab",
            "12341234",
            "hallohallo",
            "geheimgeheim",
            "pass-word",
            "xyxyxxyy",
            "foldline",
            "Foldline1!",
            "myfoldline24",
            "f0ldline99",
            "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}12",
        ] {
            assert_eq!(fault(common, &[]), Some(PasswordFault::Common), "{common}");
        }
    }

    #[test]
    fn rows_of_keyboards_in_other_scripts_are_refused() {
        for common in [
            "йцукенгш",
            "ЙЦУКЕНГШ",
            "йцукенгш1!",
            "фывапролдж",
            "ячсмитьбю",
            "шгнекуцй",
            "йцуфывячс",
            "йцукен1234",
            "фівапролджє",
            "явертъуиоп",
            "асдфгхјкл",
            "ςερτυθιοπ",
            "קראטוןםפ",
            "ضصثقفغعهخ",
            "شسيبلاتن",
            "ㅂㅈㄷㄱㅅㅛㅕㅑ",
            "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ",
            "ๆไำพะัีรน",
            "たていすかんなに",
            "ასდფგჰჯკლ",
            "абвгдежз",
            "あいうえおかきくけ",
            "١٢٣٤٥٦٧٨",
            "qwertyuıop",
            "asdfghjklöä",
            "ąžertyuiop",
            "aoeuidhtns",
            // words in the keys of another layout: password, and the Russian word for it
            "зфыыцщкв",
            "ㅔㅁㄴㄴ재ㄱㅇ12",
            "gfhjkm123",
        ] {
            assert_eq!(fault(common, &[]), Some(PasswordFault::Common), "{common}");
        }
        for fine in [
            "зелёный чайник у окна",
            "초록 찻잔 세 개와 물",
            "три зонта и чайник",
            "qwe is not my password here",
        ] {
            assert_eq!(fault(fine, &[]), None, "{fine}");
        }
    }

    #[test]
    fn phrases_and_random_texts_are_taken() {
        for fine in [
            "correct horse",
            "correct horse battery staple",
            "battery staple",
            "another horse",
            "gar\u{e7}on 1968",
            "xK9#mQ2v",
            "vT4-pLz8w",
            "three green umbrellas",
            "3141592653589793",
            "\u{3042}\u{3044}\u{3046}\u{306e}\u{5ddd}\u{306f}\u{6d41}\u{308c}\u{308b}",
            "ourfoldlineclassroom",
        ] {
            assert_eq!(fault(fine, &["ada@example.org", "Ada Lovelace"]), None, "{fine}");
        }
    }

    #[test]
    fn what_is_known_of_the_person_is_refused() {
        let personal = ["ada.lovelace@example.org", "Countess of Lovelace"];
        for known in [
            "ada.lovelace@example.org",
            "adalovelace",
            "Lovelace1",
            "lovelace-1815",
            "countess!!",
            "2026lovelace",
        ] {
            assert_eq!(fault(known, &personal), Some(PasswordFault::Personal), "{known}");
        }
        assert_eq!(fault("lovelace counts slowly", &personal), None);
        assert_eq!(fault("Lovelace1", &[]), None);
    }

    #[test]
    fn only_the_length_is_a_rule_about_characters() {
        assert_eq!(fault("seven77", &[]), Some(PasswordFault::Length));
        assert_eq!(fault(&"ab c".repeat(100), &[]), Some(PasswordFault::Length));
        assert_eq!(fault("all lower case letters", &[]), None);
    }

    #[test]
    fn the_list_has_words_in_lower_case_once_each() {
        let words: Vec<_> = COMMON.split_whitespace().collect();
        assert_eq!(words.len(), WORDS.len());
        for word in words {
            assert_eq!(word, word.to_lowercase());
        }
    }

    #[test]
    fn a_long_repetition_is_a_common_password_and_a_long_phrase_is_not() {
        let repeated = "vT4-pLz8w".repeat(20);
        assert_eq!(fault(&repeated, &[]), Some(PasswordFault::Common));
        let phrase = format!("{repeated} and an end");
        assert_eq!(fault(&phrase, &[&"b.".repeat(120)]), None);
    }
}
