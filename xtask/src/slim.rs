//! Takes from a module of WebAssembly and its glue what no page needs. wasm-bindgen gives each name by which
//! they know each other a hash, which no compression makes smaller, and both files have all of them: short
//! names save 5 KB of a bundle. And a dependency exports classes for streams that nothing of ours makes.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
/// How names begin that only wasm-bindgen makes; others, as `memory`, may be words of JavaScript.
const PREFIXES: [&str; 2] = ["__wb", "wasm_bindgen__"];

/// The classes of `wasm-streams`, which Leptos brings for server functions.
const UNUSED: [&str; 3] = [
    "IntoUnderlyingByteSource",
    "IntoUnderlyingSink",
    "IntoUnderlyingSource",
];

/// The module without the exports of unused classes, so that what only they need is not kept.
pub(crate) fn without_unused_exports(wasm: &[u8]) -> Result<Vec<u8>> {
    let unused = UNUSED.map(str::to_lowercase);
    let is_used = |name: &str| !unused.iter().any(|class| name.contains(class.as_str()));
    sections(wasm, &mut |id, content| match id {
        EXPORTS => exports(content, &mut |name| is_used(name).then(|| name.to_owned())),
        _ => Ok(content.to_vec()),
    })
    .context("the module cannot be read")
}

/// The glue without unused classes.
fn without_unused_classes(js: &str) -> String {
    let begins = |line: &str, word: &str| {
        let class = line.strip_prefix(word);
        class.is_some_and(|class| UNUSED.iter().any(|unused| class.starts_with(unused)))
    };
    let mut kept = String::with_capacity(js.len());
    let mut lines = js.lines();
    while let Some(line) = lines.next() {
        if begins(line, "export class ") {
            // Its last line makes it disposable.
            lines.by_ref().find(|line| begins(line, "if (Symbol.dispose) "));
        } else if begins(line, "const ") {
            // What frees its objects.
            lines.by_ref().find(|line| line.ends_with(';'));
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The glue and the module with short names, and the glue without unused classes.
pub(crate) fn shorten(js: &str, wasm: &[u8]) -> Result<(String, Vec<u8>)> {
    let mut names = Names::default();
    let wasm = shorten_module(wasm, &mut names).context("the module cannot be read")?;
    let js = without_comments(&without_unused_classes(js));
    Ok((names.in_script(&js), wasm))
}

/// The script without indentation, and without its comments on types.
fn without_comments(js: &str) -> String {
    // A text over several lines would be changed; wasm-bindgen writes none.
    if js.lines().any(|line| line.matches('`').count() % 2 == 1) {
        return js.to_owned();
    }
    let is_comment = |line: &&str| {
        let begins = line.starts_with("/**") && line.find("*/").is_none_or(|end| end + 2 == line.len());
        begins || line.starts_with('*')
    };
    let lines = js.lines().map(str::trim_start).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.filter(|line| !is_comment(line)).collect();
    lines.join("\n")
}

/// The short names, by the long ones.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn short(&mut self, name: &str) -> String {
        if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return name.to_owned();
        }
        let next = self.0.len();
        self.0
            .entry(name.to_owned())
            .or_insert_with(|| format!("${next}"))
            .clone()
    }

    /// The script with every identifier that has a short name replaced.
    fn in_script(&self, js: &str) -> String {
        let mut short = String::with_capacity(js.len());
        let mut rest = js;
        while let Some(begin) = rest.find(is_of_identifier) {
            let (before, from) = rest.split_at(begin);
            let end = from.find(|c| !is_of_identifier(c)).unwrap_or(from.len());
            let (identifier, after) = from.split_at(end);
            short.push_str(before);
            short.push_str(self.0.get(identifier).map_or(identifier, String::as_str));
            rest = after;
        }
        short.push_str(rest);
        short
    }
}

fn is_of_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

fn shorten_module(wasm: &[u8], names: &mut Names) -> Result<Vec<u8>> {
    sections(wasm, &mut |id, content| match id {
        IMPORTS => imports(content, names),
        EXPORTS => exports(content, &mut |name| Some(names.short(name))),
        _ => Ok(content.to_vec()),
    })
}

/// What becomes of a section, by its id and its content.
type Change<'a> = &'a mut dyn FnMut(u8, &[u8]) -> Result<Vec<u8>>;

/// The module with its sections as `change` writes them.
fn sections(wasm: &[u8], change: Change<'_>) -> Result<Vec<u8>> {
    let mut module = Reader(wasm);
    let mut short = module.take(8)?.to_vec();
    while !module.0.is_empty() {
        let id = module.byte()?;
        let length = module.number()?;
        let content = change(id, module.take(length)?)?;
        short.push(id);
        push_number(&mut short, content.len());
        short.extend(content);
    }
    Ok(short)
}

/// A list of imports: each with the name of a module, its own, and its type.
fn imports(content: &[u8], names: &mut Names) -> Result<Vec<u8>> {
    let mut list = Reader(content);
    let mut short = Vec::new();
    let count = list.number()?;
    push_number(&mut short, count);
    for _ in 0..count {
        let module = list.name()?;
        push_name(&mut short, module);
        let name = names.short(list.name()?);
        push_name(&mut short, &name);
        let before = list.0;
        match list.byte()? {
            0 => {
                list.number()?;
            }
            1 => {
                list.byte()?;
                list.limits()?;
            }
            2 => list.limits()?,
            3 => {
                list.take(2)?;
            }
            kind => bail!("an import of the kind {kind}"),
        }
        short.extend(&before[..before.len() - list.0.len()]);
    }
    Ok(short)
}

/// A list of exports: each with its name, its kind and its index. One without a new name is left out.
fn exports(content: &[u8], rename: &mut dyn FnMut(&str) -> Option<String>) -> Result<Vec<u8>> {
    let mut list = Reader(content);
    let mut kept = Vec::new();
    let mut count = 0;
    for _ in 0..list.number()? {
        let name = rename(list.name()?);
        let (kind, index) = (list.byte()?, list.number()?);
        if let Some(name) = name {
            push_name(&mut kept, &name);
            kept.push(kind);
            push_number(&mut kept, index);
            count += 1;
        }
    }
    let mut changed = Vec::new();
    push_number(&mut changed, count);
    changed.extend(kept);
    Ok(changed)
}

/// Reads a binary module.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("it ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned number of at most 32 bits, seven bits in each byte, the last ones first.
    fn number(&mut self) -> Result<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number is too long")
    }

    fn name(&mut self) -> Result<&'a str> {
        let length = self.number()?;
        Ok(std::str::from_utf8(self.take(length)?)?)
    }

    /// The limits of a table or a memory.
    fn limits(&mut self) -> Result<()> {
        let has_most = self.byte()? & 1 == 1;
        self.number()?;
        if has_most {
            self.number()?;
        }
        Ok(())
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn push_name(bytes: &mut Vec<u8>, name: &str) {
    push_number(bytes, name.len());
    bytes.extend(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section with these parts.
    fn section(id: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut section = vec![id];
        push_number(&mut section, content.len());
        section.extend(content);
        section
    }

    fn name(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_name(&mut bytes, name);
        bytes
    }

    fn module(long: [&str; 2]) -> Vec<u8> {
        let imports = [
            &[3][..],
            &name("./a_bg.js"),
            &name(long[0]),
            &[0, 0x80, 0x01],
            &name("env"),
            &name("memory"),
            &[2, 1, 1, 2],
            &name("env"),
            &name("table"),
            &[1, 0x70, 0, 1],
        ];
        let exports = [&[2][..], &name("memory"), &[2, 0], &name(long[1]), &[0, 5]];
        [
            b"\0asm\x01\0\0\0".to_vec(),
            section(1, &[b"types"]),
            section(IMPORTS, &imports),
            section(EXPORTS, &exports),
        ]
        .concat()
    }

    #[test]
    fn both_files_get_the_same_short_names() {
        let long = ["__wbg_body_5f971cbc6950ca4f", "wasm_bindgen__convert__h12"];
        let js = "imports = {__wbg_body_5f971cbc6950ca4f: () => body};\n\
                  wasm.wasm_bindgen__convert__h12(__wbg_body_5f971cbc6950ca4f2, wasm.memory); __wbg_init()";
        let (js, wasm) = shorten(js, &module(long)).unwrap();
        assert_eq!(wasm, module(["$0", "$1"]));
        assert_eq!(
            js,
            "imports = {$0: () => body};\nwasm.$1(__wbg_body_5f971cbc6950ca4f2, wasm.memory); __wbg_init()"
        );
    }

    #[test]
    fn a_script_loses_its_comments_on_types_but_no_text() {
        let js = "/**\n * @returns {any}\n */\nfunction a() {\n    return `b ${c}`;\n\n}\n";
        assert_eq!(without_comments(js), "function a() {\nreturn `b ${c}`;\n}");
        let text = "a = `\n    b`;";
        assert_eq!(without_comments(text), text);
    }

    #[test]
    fn unused_classes_are_left_out() {
        let glue = "import a;\n\
                    export class IntoUnderlyingSink {\n    free() {\n    }\n}\n\
                    if (Symbol.dispose) IntoUnderlyingSink.prototype.x = 1;\n\
                    let b;\n\
                    const IntoUnderlyingSinkFinalization = c\n    ? d\n    : e;\nlet f;\n";
        assert_eq!(without_unused_classes(glue), "import a;\nlet b;\nlet f;\n");
        let of = |names: &[&str]| {
            let mut content = Vec::new();
            push_number(&mut content, names.len());
            for export in names {
                content.extend(name(export));
                content.extend([0, 1]);
            }
            [b"\0asm\x01\0\0\0".to_vec(), section(EXPORTS, &[&content])].concat()
        };
        let all = of(&[
            "memory",
            "intounderlyingsink_close",
            "__wbg_intounderlyingsink_free",
            "main",
        ]);
        assert_eq!(without_unused_exports(&all).unwrap(), of(&["memory", "main"]));
    }

    #[test]
    fn a_module_that_ends_early_is_refused() {
        let whole = module(["__wbg_a", "__wbg_b"]);
        for length in [0, 7, 9, whole.len() - 1] {
            assert!(shorten("", &whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn numbers_of_several_bytes_are_read_as_they_were_written() {
        for number in [0, 127, 128, 16_384, 4_294_967_295] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            assert_eq!(Reader(&bytes).number().unwrap(), number);
        }
    }
}
