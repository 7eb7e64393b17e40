//! Self-contained HTML pages: styles, scripts, pictures and data are embedded, and nothing is fetched.

use serde_json::Value;

const TEMPLATE: &str = include_str!("../assets/page/page.html");
const STYLE: &str = include_str!("../assets/page/page.css");
const SCRIPT: &str = include_str!("../assets/page/page.js");

/// A page that its scripts build from its data.
pub struct Page<'a> {
    /// The title, as plain text.
    pub title: &'a str,
    /// Style sheets, after the one that all pages have.
    pub styles: &'a [&'a str],
    /// Scripts, after the one that all pages have; they find the data as `DATA`.
    pub scripts: &'a [&'a str],
    /// The data.
    pub data: &'a Value,
}

impl Page<'_> {
    /// The text of the page. Its own security policy forbids it to fetch anything.
    pub fn render(&self) -> String {
        let mut page = String::new();
        for part in TEMPLATE.split("{{") {
            let Some((name, rest)) = part.split_once("}}") else {
                page += part;
                continue;
            };
            match name {
                "title" => page += &escape(self.title),
                "style" => page += &all(STYLE, self.styles),
                "script" => page += &all(SCRIPT, self.scripts),
                // A `<` could end the script element that holds the data; in JSON it may be written otherwise.
                "data" => page += &self.data.to_string().replace('<', "\\u003c"),
                _ => unreachable!("the template has no other placeholders"),
            }
            page += rest;
        }
        page
    }
}

fn all(first: &str, more: &[&str]) -> String {
    [&[first], more].concat().join("\n")
}

/// Text as it is written between tags or quotes, in HTML as in SVG.
pub(crate) fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let text = text.replace('>', "&gt;").replace('"', "&quot;");
    text.replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let nasty = "</script><script>alert(1)</script><!-- & ' \" {{data}}";
        let page = Page {
            title: nasty,
            styles: &[".a { color: red }"],
            scripts: &["const here = 1;"],
            data: &serde_json::json!({ "text": nasty }),
        };
        let text = page.render();
        assert_eq!(text.matches("alert(1)").count(), 2);
        assert_eq!(text.matches("<script>alert").count(), 0, "{text}");
        assert_eq!(text.matches("</script>").count(), 2, "{text}");
        assert_eq!(
            text.matches("{{data}}").count(),
            2,
            "neither place is filled in again"
        );
        let title = text.split("title>").nth(1).expect("a title");
        assert!(
            !title[..title.len() - 2].contains(['<', '"', '\'']),
            "{title}"
        );
        let start = text.find("id=\"data\">").expect("the data") + "id=\"data\">".len();
        let data = &text[start..start + text[start..].find("</script>").expect("their end")];
        let back: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(back["text"], nasty);
        assert!(text.contains(".a { color: red }") && text.contains("const here = 1;"));
    }
}
