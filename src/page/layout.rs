//! What surrounds every view: the head of the document, the navigation, and who is logged in.

use maud::{DOCTYPE, Markup, html};

use crate::page::PageState;
use crate::page::viewer::Viewer;

/// The views in the navigation: path and name.
const VIEWS: [(&str, &str); 4] = [
    ("/ui/", "Overview"),
    ("/ui/decisions", "Decisions"),
    ("/ui/review", "Review"),
    ("/ui/policies", "Policies"),
];

/// A whole document: `path` is the view that the navigation marks as current.
pub(super) fn document(
    page: &PageState,
    viewer: &Viewer,
    path: &str,
    title: &str,
    content: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · expense-agent" }
                link rel="stylesheet" href=(page.assets.style_path());
                link rel="icon" href="data:,";
                script type="module" src=(page.assets.script_path()) {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    nav aria-label="Views" {
                        @for (view, name) in VIEWS {
                            a href=(viewer.href(view, &[])) aria-current=[(view == path).then_some("page")] { (name) }
                        }
                    }
                    (who(viewer))
                }
                main #content { (content) }
            }
        }
    }
}

/// The tenant, and whom the key belongs to.
fn who(viewer: &Viewer) -> Markup {
    html! {
        p.who {
            "Tenant " b { (viewer.identity.tenant_id) }
            @if let Some(key) = &viewer.identity.api_key { " · key " b { (key.id) } }
        }
    }
}
