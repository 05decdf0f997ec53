//! A whole HTML document, with the script and the style sheet. What surrounds a view is in `layout`.

use maud::{DOCTYPE, Markup, html};

use crate::page::assets::Assets;

/// A document with this content of its body.
pub(super) fn document(assets: &Assets, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · expense-agent" }
                link rel="stylesheet" href=(assets.style_path());
                link rel="icon" href="data:,";
                script type="module" src=(assets.script_path()) {}
            }
            body { (body) }
        }
    }
}
