//! What surrounds every view: the head of the document, the navigation, and who is logged in.

use maud::{DOCTYPE, Markup, html};

use crate::domain::body::MAX_ID_CHARS;
use crate::page::PageState;
use crate::page::assets::Assets;
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
    let body = html! {
        a.skip href="#content" { "Skip to the content" }
        header {
            nav aria-label="Views" {
                @for (view, name) in VIEWS {
                    a href=(viewer.href(view, &[])) aria-current=[(view == path).then_some("page")] { (name) }
                }
            }
            (who(viewer, path))
        }
        main #content { (content) }
    };
    bare(&page.assets, title, &body)
}

/// A document without navigation, for somebody who is not known yet.
pub(super) fn bare(assets: &Assets, title: &str, body: &Markup) -> Markup {
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

/// The tenant, and whom the key belongs to. Where no key decides the tenant, the reader chooses it.
fn who(viewer: &Viewer, path: &str) -> Markup {
    let tenant_id = &viewer.identity.tenant_id;
    html! {
        div.who {
            @if viewer.chooses_tenant() {
                form.inline method="get" action=(path) {
                    label { "Tenant " input name="tenant" value=(tenant_id) maxlength=(MAX_ID_CHARS) required; }
                    " " button { "Show" }
                }
            } @else {
                span { "Tenant " b { (tenant_id) } }
            }
            @if let Some(key) = &viewer.identity.api_key {
                span { "Key " b { (key.id) } }
            }
        }
    }
}
