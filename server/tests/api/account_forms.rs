//! The forms about an account, and the pages that they lead to.

use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE},
};

use crate::{
    account_links::token,
    app::{Person, TestApp},
    dead_letters::get,
};

const FORM: &str = "display_name=Ada+Lovelace&email=ada%40example.org&password=correct+horse+battery";

/// A browser that keeps and sends cookies.
struct Browser<'a> {
    app: &'a TestApp,
    cookies: std::collections::BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    fn of(app: &'a TestApp, person: &Person) -> Self {
        let session = ("foldline_session".to_owned(), person.token.clone());
        Self {
            app,
            cookies: [session].into(),
        }
    }

    fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            assert!(
                cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
                "{cookie}"
            );
            assert_eq!(
                cookie.contains("HttpOnly"),
                name != "foldline_written",
                "{cookie}"
            );
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn cookies(&self) -> String {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    /// Sends a form; the path that it is redirected to.
    async fn send(&mut self, path: &str, body: &str) -> String {
        let response = self
            .app
            .request(Method::POST, path)
            .header("origin", self.app.origin())
            .header(COOKIE, self.cookies())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        self.keep(&response);
        response.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    async fn page(&mut self, path: &str) -> String {
        let response = self
            .app
            .get(path)
            .header(COOKIE, self.cookies())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        self.keep(&response);
        response.text().await.unwrap()
    }
}

#[tokio::test]
async fn a_visitor_makes_an_account_changes_it_and_is_erased() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let visitor = app.student(&educator.join_code).await;
    let mut browser = Browser::of(&app, &visitor);
    let page = browser.page("/account").await;
    assert!(page.contains("href=\"/register\""));
    assert_eq!(browser.send("/session/register", FORM).await, "/account");
    assert!(browser.cookies.contains_key("foldline_refresh"));
    let page = browser.page("/account").await;
    assert!(page.contains("value=\"Ada Lovelace\"") && page.contains("value=\"ada@example.org\""));
    assert!(page.contains("This is an example address"), "no email reaches it");
    assert_eq!(
        browser.send("/session/name", "display_name=Countess").await,
        "/account"
    );
    let page = browser.page("/account").await;
    assert!(page.contains("value=\"Countess\"") && page.contains("Saved."));
    let page = browser.page("/account").await;
    assert!(!page.contains("Saved."), "it is said once");
    assert!(page.contains("value=\"en\" lang=\"en\" selected"), "{page}");
    assert_eq!(browser.send("/session/language", "language=de").await, "/account");
    let page = browser.page("/account").await;
    assert!(
        page.contains("value=\"de\" lang=\"de\" selected") && page.contains("lang=\"de\""),
        "{page}"
    );
    browser.cookies.insert("lang".to_owned(), "en".to_owned());
    assert!(!page.contains("in diese Sprache"), "{page}");
    assert_eq!(browser.send("/session/language", "language=fr").await, "/account");
    browser.cookies.insert("lang".to_owned(), "en".to_owned());
    let page = browser.page("/account").await;
    assert!(page.contains("You get them in English."), "{page}");
    assert_eq!(browser.send("/session/language", "language=xx").await, "/account");
    let page = browser.page("/account").await;
    assert!(page.contains("The form could not be read."), "{page}");
    let nonsense = "email=nonsense&password=correct+horse+battery";
    assert_eq!(browser.send("/session/email", nonsense).await, "/account");
    let page = browser.page("/account").await;
    assert!(page.contains("value=\"nonsense\"") && page.contains("aria-invalid=\"true\""));
    let body = "confirm=Grace&password=correct+horse+battery";
    assert_eq!(browser.send("/session/erase", body).await, "/account");
    let page = browser.page("/account").await;
    assert!(page.contains("Type your name exactly as shown."));
    let body = "confirm=Countess&password=correct+horse+battery";
    assert_eq!(browser.send("/session/erase", body).await, "/sign-in");
    assert!(!browser.cookies.contains_key("foldline_session"));
    let page = browser.page("/sign-in").await;
    assert!(page.contains("Your data has been erased."));
}

#[tokio::test]
async fn a_refused_form_keeps_its_fields_but_not_the_password() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut browser = Browser::of(&app, &app.student(&educator.join_code).await);
    let body = "display_name=Ada&email=not+an+email&password=short";
    assert_eq!(browser.send("/session/register", body).await, "/register");
    let page = browser.page("/register").await;
    assert!(page.contains("value=\"not an email\"") && page.contains("value=\"Ada\""));
    assert!(!page.contains("short\""));
    assert!(page.contains("href=\"#register-email\"") && page.contains("href=\"#register-password\""));
    assert!(page.contains("autofocus"));
    // the email of another account
    assert_eq!(browser.send("/session/register", FORM).await, "/account");
    let mut other = Browser::of(&app, &app.student(&educator.join_code).await);
    assert_eq!(other.send("/session/register", FORM).await, "/register");
    let page = other.page("/register").await;
    assert!(page.contains("Another account in this workspace uses this email address"));
}

#[tokio::test]
async fn a_person_signs_out_and_in_again() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut browser = Browser::of(&app, &app.student(&educator.join_code).await);
    browser.send("/session/register", FORM).await;
    assert_eq!(browser.send("/session/leave", "").await, "/");
    assert!(!browser.cookies.contains_key("foldline_refresh"));
    let page = browser.page("/account").await;
    assert!(page.contains("You are not in a workspace"));
    let wrong = "email=ada%40example.org&password=wrong+password";
    assert_eq!(browser.send("/session/sign-in", wrong).await, "/sign-in");
    let page = browser.page("/sign-in").await;
    assert!(
        page.contains("The email or the password is incorrect") && page.contains("value=\"ada@example.org\"")
    );
    let right = format!(
        "email=Ada%40example.org&password=correct+horse+battery&code={}",
        educator.join_code
    );
    assert_eq!(browser.send("/session/sign-in", &right).await, "/shop");
    let page = browser.page("/account").await;
    assert!(page.contains("value=\"Ada Lovelace\""));
}

#[tokio::test]
async fn changing_the_email_and_erasing_ask_for_the_password() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut browser = Browser::of(&app, &app.student(&educator.join_code).await);
    browser.send("/session/register", FORM).await;
    let page = browser.page("/account").await;
    for field in ["account-email-password", "account-erase-password"] {
        assert!(page.contains(&format!("id=\"{field}\"")), "{field}");
    }
    for (path, typed, field) in [
        (
            "/session/email",
            "email=countess%40example.org",
            "account-email-password",
        ),
        ("/session/erase", "confirm=Ada+Lovelace", "account-erase-password"),
    ] {
        for password in ["", "&password=", "&password=battery+staple"] {
            let leads_to = browser.send(path, &format!("{typed}{password}")).await;
            assert_eq!(leads_to, "/account");
            let page = browser.page("/account").await;
            assert!(page.contains("The password is incorrect."), "{path} {password}");
            assert!(page.contains(&format!("href=\"#{field}\"")), "{path} {password}");
        }
    }
    // the refused forms have changed nothing
    let moved = "email=countess%40example.org&password=correct+horse+battery";
    assert_eq!(browser.send("/session/email", moved).await, "/account");
    let page = browser.page("/account").await;
    assert!(page.contains("value=\"countess@example.org\"") && page.contains("Saved."));
    // a guest has no password
    let guest = app.student(&educator.join_code).await;
    let mut browser = Browser::of(&app, &guest);
    assert!(!browser.page("/account").await.contains("account-erase-password"));
    assert_eq!(browser.send("/session/erase", "confirm=Ada").await, "/sign-in");
}

#[tokio::test]
async fn another_sites_form_does_nothing() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let visitor = app.student(&educator.join_code).await;
    for path in ["/session/register", "/session/sign-in", "/session/erase"] {
        let response = app
            .request(Method::POST, path)
            .header("origin", "http://evil.test")
            .header(COOKIE, format!("foldline_session={}", visitor.token))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(FORM)
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()[LOCATION], "/?problem=invalid", "{path}");
        assert!(response.headers().get(SET_COOKIE).is_none());
    }
}

#[tokio::test]
async fn a_forgotten_password_is_set_with_plain_forms() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let visitor = app.student(&educator.join_code).await;
    let mut browser = Browser::of(&app, &visitor);
    let session = get(&app, &visitor, "/api/v1/session").await;
    let user = session["actor_id"].as_str().unwrap().parse().unwrap();
    browser.send("/session/register", FORM).await;
    browser.send("/session/leave", "").await;
    let page = browser.page("/sign-in").await;
    assert!(page.contains("href=\"/forgot-password\""), "{page}");
    // the page says the same whether there is an account or not
    for email in ["eve%40example.org", "ada%40example.org"] {
        let body = format!("email={email}&code={}", educator.join_code);
        assert_eq!(browser.send("/session/forgot", &body).await, "/forgot-password");
        let page = browser.page("/forgot-password").await;
        assert!(
            page.contains("If there is an account with this email address"),
            "{page}"
        );
    }
    let body = "email=ada%40example.org&code=NOSUCHCODE";
    assert_eq!(browser.send("/session/forgot", body).await, "/forgot-password");
    let page = browser.page("/forgot-password").await;
    assert!(page.contains("href=\"#forgot-code\"") && page.contains("value=\"ada@example.org\""));
    app.resets_done().await;
    let token = token(&app, &educator, user, "/reset-password").await;
    let link = format!("/reset-password?token={token}");
    let page = browser.page(&link).await;
    assert!(page.contains(&format!("value=\"{token}\"")), "{page}");
    // a password that is refused leads back to the page of the link
    let weak = format!("token={token}&password=password1");
    assert_eq!(browser.send("/session/reset", &weak).await, link);
    let page = browser.page(&link).await;
    assert!(
        page.contains("href=\"#reset-password\"") && !page.contains("password1"),
        "{page}"
    );
    let strong = format!("token={token}&password=staple+of+another+horse");
    assert_eq!(browser.send("/session/reset", &strong).await, "/sign-in");
    let page = browser.page("/sign-in").await;
    assert!(page.contains("Your new password is set."), "{page}");
    assert_eq!(browser.send("/session/reset", &strong).await, "/reset-password");
    let page = browser.page("/reset-password").await;
    assert!(
        page.contains("This link has been used already") && page.contains("href=\"/forgot-password\""),
        "{page}"
    );
    let sign_in = format!(
        "email=ada%40example.org&password=staple+of+another+horse&code={}",
        educator.join_code
    );
    assert_eq!(browser.send("/session/sign-in", &sign_in).await, "/shop");
    app.settled(&educator).await;
    let page = browser.page("/account").await;
    assert!(page.contains("This email address is confirmed."), "{page}");
}

#[tokio::test]
async fn an_account_shows_whether_its_address_is_confirmed_and_sends_the_link_again() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let visitor = app.student(&educator.join_code).await;
    let mut browser = Browser::of(&app, &visitor);
    let session = get(&app, &visitor, "/api/v1/session").await;
    let user = session["actor_id"].as_str().unwrap().parse().unwrap();
    browser.send("/session/register", FORM).await;
    let page = browser.page("/account").await;
    assert!(
        page.contains("This email address is not confirmed yet."),
        "{page}"
    );
    assert_eq!(browser.send("/session/confirmation", "").await, "/account");
    let page = browser.page("/account").await;
    assert!(page.contains("The email is on its way."), "{page}");
    let token = token(&app, &educator, user, "/confirm-email").await;
    let page = browser.page(&format!("/confirm-email?token={token}")).await;
    assert!(page.contains("action=\"/session/confirm\""), "{page}");
    assert_eq!(
        browser.send("/session/confirm", "token=nonsense").await,
        "/confirm-email"
    );
    let page = browser.page("/confirm-email").await;
    assert!(page.contains("This link has been used already"), "{page}");
    let body = format!("token={token}");
    assert_eq!(browser.send("/session/confirm", &body).await, "/confirm-email");
    let page = browser.page("/confirm-email").await;
    assert!(page.contains("Your email address is confirmed."), "{page}");
    app.settled(&educator).await;
    let page = browser.page("/account").await;
    assert!(
        page.contains("This email address is confirmed.") && !page.contains("/session/confirmation"),
        "{page}"
    );
    // from another site, nothing is taken
    let foreign = app
        .request(Method::POST, "/session/confirmation")
        .header("origin", "https://evil.test")
        .header(COOKIE, browser.cookies())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let leads_to = foreign.send().await.unwrap();
    assert_eq!(leads_to.headers()[LOCATION], "/?problem=invalid");
}
