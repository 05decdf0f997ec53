//! What a click does: it resolves, it is refused in the words of the API, or it comes too late.

use futures_util::future::join_all;
use serde_json::json;

use super::{Office, Person, hidden, view_of};
use crate::harness::TestApp;
use crate::harness::expenses::{id_of, laptop, of_user};

#[tokio::test]
async fn a_click_resolves_the_decision_and_shows_what_became_of_it() {
    let office = Office::open().await;
    let pending = office.decide(laptop("1000.00")).await;
    let ben = office.person("ea_ben");
    let seen = ben.get(&view_of(&pending)).await;
    let fields = [
        ("item", id_of(&pending)),
        ("state", hidden(&seen.html, "state")),
        ("role", "manager"),
        ("amount", "400.00"),
        ("reason", "Enough for a <b>small</b> one."),
        ("action", "approve"),
    ];
    let path = format!("{}/resolution", view_of(&pending));
    let clicked = ben.post(&path, &fields).await;
    assert_eq!(clicked.status, 303, "{}", clicked.html);
    let after = ben.get(&clicked.location.unwrap()).await.html;
    assert!(
        after.contains("approved by ben, as manager")
            && after.contains("Enough for a &lt;b&gt;small&lt;/b&gt; one."),
        "{after}"
    );
    assert!(
        !after.contains("<form class=\"resolve\""),
        "it is no longer open: {after}"
    );
    // The same click once more, such as of a page that comes back from the history.
    assert_eq!(ben.post(&path, &fields).await.status, 303);
    // Another person clicks on what they still see open.
    let mut other = fields.to_vec();
    other.extend([("actor", "zoe")]);
    other[4] = ("reason", "No.");
    let late = office.person("ea_vp").post(&path, &other).await;
    assert_eq!(late.status, 409);
    assert!(
        late.html
            .contains("already been resolved: approved by ben, as manager at"),
        "{}",
        late.html
    );
}

#[tokio::test]
async fn a_click_on_a_decision_that_changed_meanwhile_does_nothing_until_it_is_repeated() {
    let office = Office::open().await;
    let pending = office.decide(laptop("1000.00")).await;
    let ben = office.person("ea_ben");
    let seen = ben.get(&view_of(&pending)).await;
    let path = format!("{}/feedback", view_of(&pending));
    let feedback = [
        ("say", "note:"),
        ("comment", "Wait for the offer of the other shop."),
    ];
    let given = office.person("ea_ana").post(&path, &feedback).await;
    assert_eq!(given.status, 303, "{}", given.html);
    let fields = |state| {
        [
            ("state", state),
            ("role", "manager"),
            ("reason", "Agreed."),
            ("action", "deny"),
        ]
    };
    let path = format!("{}/resolution", view_of(&pending));
    for state in [hidden(&seen.html, "state"), ""] {
        let stale = ben.post(&path, &fields(state)).await;
        assert_eq!(stale.status, 409);
        for words in [
            "This decision changed since you opened it",
            "Wait for the offer of the other shop.",
            "Agreed.",
        ] {
            assert!(stale.html.contains(words), "{words}: {}", stale.html);
        }
        let now = office.read(&pending).await;
        assert_eq!(now["resolution"], json!(null));
    }
    let now = ben.get(&view_of(&pending)).await;
    let clicked = ben.post(&path, &fields(hidden(&now.html, "state"))).await;
    assert_eq!(clicked.status, 303);
}

#[tokio::test]
async fn of_several_people_who_act_at_once_one_resolves_it_and_the_others_are_told_who() {
    let office = Office::open().await;
    let pending = office.decide(laptop("1000.00")).await;
    let manager = office.person("ea_manager");
    let state = hidden(&manager.get(&view_of(&pending)).await.html, "state").to_owned();
    let path = format!("{}/resolution", view_of(&pending));
    let clicks = (0..8).map(|n| {
        let (manager, path, state) = (&manager, &path, &state);
        async move {
            let actor = format!("person-{n}");
            let fields = [
                ("state", &**state),
                ("role", "manager"),
                ("actor", &*actor),
                ("reason", "Fine."),
                ("action", "approve"),
            ];
            manager.post(path, &fields).await
        }
    });
    let seen = join_all(clicks).await;
    let (resolved, refused): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.status == 303);
    assert_eq!(resolved.len(), 1);
    let now = office.read(&pending).await;
    let winner = now["resolution"]["actor"].as_str().unwrap();
    for seen in refused {
        assert_eq!(seen.status, 409, "{}", seen.html);
        let told = format!("resolved: approved by {winner}, as manager at ");
        assert!(seen.html.contains(&told), "{}", seen.html);
    }
}

#[tokio::test]
async fn several_decisions_are_resolved_with_one_reason_and_each_refusal_is_told() {
    let office = Office::open().await;
    let fine = office.decide(laptop("1000.00")).await;
    let own = office.decide(of_user(laptop("1100.00"), "ben")).await;
    let also_fine = office.decide(of_user(laptop("1200.00"), "cleo")).await;
    let gift = office
        .decide(json!({"transaction": "Retirement gift", "amount": "30.00", "user_id": "ana"}))
        .await;
    let ben = office.person("ea_ben");
    let queue = ben.get("/ui/review?role=manager").await.html;
    let picks: Vec<String> = [&fine, &own, &also_fine, &gift]
        .into_iter()
        .map(|decision| match pick_of(&queue, id_of(decision)) {
            Some(pick) => pick,
            // What waits for a higher role is not in this queue.
            None => format!("{}:{}", id_of(decision), "none"),
        })
        .collect();
    let mut fields = vec![
        ("role", "manager"),
        ("reason", "Checked together."),
        ("action", "approve"),
    ];
    fields.extend(picks.iter().map(|pick| ("picked", &**pick)));
    let told = ben.post("/ui/review/picked?role=manager", &fields).await;
    assert_eq!(told.status, 403, "{}", told.html);
    for decision in [&fine, &also_fine] {
        let now = office.read(decision).await;
        assert_eq!(now["resolution"]["reason"], "Checked together.");
    }
    assert!(told.html.contains("approved by ben, as manager"));
    assert!(
        told.html
            .contains("people cannot approve or deny an expense that is their own"),
        "{}",
        told.html
    );
    assert!(
        told.html
            .contains("This decision changed since you opened it"),
        "the stale one: {}",
        told.html
    );

    // What was refused stays ticked, and the reason need not be typed again.
    let form = told
        .html
        .split("action=\"/ui/review/picked")
        .nth(1)
        .unwrap();
    assert!(form.contains(">Checked together.</textarea>"), "{form}");
    assert!(
        form.contains(&format!("value=\"{}\" checked", picks[1])),
        "{form}"
    );

    let nothing = ben
        .post(
            "/ui/review/picked",
            &[("role", "manager"), ("reason", "No."), ("action", "deny")],
        )
        .await;
    assert_eq!(nothing.status, 422);
    assert!(nothing.html.contains("No decision was picked"));
}

/// The value of the checkbox of a decision.
fn pick_of(queue: &str, id: &str) -> Option<String> {
    let at = queue.find(&format!("value=\"{id}:"))? + "value=\"".len();
    queue[at..].split('"').next().map(str::to_owned)
}

#[tokio::test]
async fn the_queue_goes_on_with_the_oldest_after_each_click() {
    let office = Office::open().await;
    let mut decisions = Vec::new();
    for employee in ["ana", "cleo", "dan"] {
        decisions.push(office.decide(of_user(laptop("1000.00"), employee)).await);
    }
    let ben = office.person("ea_ben");
    let mut path = "/ui/review".to_owned();
    for decision in &decisions {
        let view = ben.get(&path).await.html;
        assert_eq!(hidden(&view, "item"), id_of(decision), "the oldest first");
        let fields = [
            ("item", id_of(decision)),
            ("state", hidden(&view, "state")),
            ("role", "manager"),
            ("reason", "Fine."),
            ("action", "approve"),
        ];
        let clicked = ben.post("/ui/review", &fields).await;
        assert_eq!(clicked.status, 303, "{}", clicked.html);
        path = clicked.location.unwrap();
    }
    let done = ben.get(&path).await.html;
    assert!(
        done.contains("Nothing waits here.") && done.contains("approved by ben"),
        "{done}"
    );
}

#[tokio::test]
async fn feedback_is_given_and_taken_back_by_its_author() {
    let office = Office::open().await;
    let pending = office.decide(laptop("1000.00")).await;
    let path = format!("{}/feedback", view_of(&pending));
    let ana = office.person("ea_ana");
    let wrong = [("say", "category:other"), ("comment", "It is a gift.")];
    let given = ana.post(&path, &wrong).await;
    assert_eq!(given.status, 303, "{}", given.html);
    let view = ana.get(&given.location.unwrap()).await.html;
    assert!(
        view.contains("the category should be other") && view.contains("Take back"),
        "{view}"
    );
    let of_ben = office.person("ea_ben").get(&view_of(&pending)).await.html;
    assert!(of_ben.contains("the category should be other") && !of_ben.contains("Take back"));
    let taken = ana
        .post(&path, &[("say", "category:"), ("take_back", "yes")])
        .await;
    assert_eq!(taken.status, 303, "{}", taken.html);
    let view = ana.get(&view_of(&pending)).await.html;
    assert!(view.contains("None yet."), "{view}");
    // A note without a comment is refused, in words, and the rest of the page is still there.
    assert!(
        view.contains(&format!("action=\"{path}#feedback\"")),
        "{view}"
    );
    let empty = ana.post(&path, &[("say", "note:")]).await;
    assert_eq!(empty.status, 422);
    assert!(
        empty.html.contains("comment: this field is required"),
        "{}",
        empty.html
    );
}

#[tokio::test]
async fn without_a_key_the_page_shows_everything_and_resolves_nothing() {
    let app = TestApp::spawn().await;
    let pending = app.decide(laptop("1000.00")).await;
    let reader = Person {
        app: &app,
        key: None,
    };
    let view = reader.get(&view_of(&pending)).await;
    assert!(
        view.html
            .contains("You can read without a key, but not resolve."),
        "{}",
        view.html
    );
    assert!(!view.html.contains("<form class=\"resolve\""));
    let (_, without_script) = view.html.split_once("<noscript>").unwrap();
    assert!(without_script.contains(">/ui/login</a>"), "{}", view.html);
    let state = "any";
    let path = format!("{}/resolution", view_of(&pending));
    let fields = [
        ("state", state),
        ("role", "manager"),
        ("actor", "ben"),
        ("reason", "Fine."),
        ("action", "approve"),
    ];
    let clicked = reader.post(&path, &fields).await;
    assert!(
        clicked.status == 409 || clicked.status == 403,
        "{}",
        clicked.status
    );
    assert_eq!(app.read(&pending).await["resolution"], json!(null));
}
