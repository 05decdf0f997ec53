//! The fields of a form that a person sent, as a browser writes them. What they may contain is checked
//! by the API, to which the views hand them on.

use axum::extract::{Form, FromRequest, Request};

use crate::page::PageState;
use crate::page::failure::Failure;

/// The fields of a form, in order; a name may occur several times.
#[derive(Clone, Debug, Default)]
pub(crate) struct FormFields(pub(crate) Vec<(String, String)>);

impl FormFields {
    /// The value of a field without blanks around it; `None` when it is missing or empty, which is how
    /// browsers send a field that was left alone.
    pub(crate) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Every value of a field that occurs several times, such as a column of checkboxes.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let values = self.0.iter().filter(move |(field, _)| field == name);
        values
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

impl FromRequest<PageState> for FormFields {
    type Rejection = Failure;

    async fn from_request(request: Request, page: &PageState) -> Result<Self, Failure> {
        let form = Form::<Vec<(String, String)>>::from_request(request, page).await;
        form.map(|Form(fields)| Self(fields)).map_err(|rejection| {
            let title = "This form cannot be read";
            Failure::new(rejection.status(), title, rejection.body_text())
        })
    }
}
