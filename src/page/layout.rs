//! What surrounds every view: the head of the document, the navigation, and who is logged in.

use maud::{Markup, html};

use crate::domain::body::MAX_ID_CHARS;
use crate::page::document::document as whole;
use crate::page::viewer::Viewer;
use crate::page::{PageState, login};

/// The views in the navigation: path and name. The views import this file, so it cannot import their paths.
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
            (who(page, viewer, path))
        }
        main #content { (content) }
    };
    whole(&page.assets, title, &body)
}

/// The tenant, the key, and how to log in or out. Where no key decides the tenant, the reader chooses it.
fn who(page: &PageState, viewer: &Viewer, path: &str) -> Markup {
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
                form.inline method="post" action=(login::LOGOUT_PATH) {
                    "Key " b { (key.id) } " " button { "Log out" }
                }
            } @else if page.app.access.local_key().is_some() {
                // The script looks for the mark before it takes a key from the address.
                @let form = viewer.href(login::PATH, &[("next", &viewer.href(path, &[]))]);
                a href=(form) data-takes-key { "Log in" }
                noscript {
                    span { "Without JavaScript, the link with a key does not log you in: copy the key after "
                        code { "#key=" } " into the form at " a href=(form) { (login::PATH) } "." }
                }
            }
        }
    }
}
