//! E-mail and log lines of Django projects, with Django's own settings.

use guesthouse_tests::{House, Manifest, Script, python_component};
use serde_json::{Value, json};

const APPS: [&str; 2] = ["natives", "natives-p3"];

fn house(port: u16, grant: bool) -> House {
    let grants = if grant { format!("grants.tcp = [\"127.0.0.1:{port}\"]\n") } else { String::new() };
    let keys = format!(
        "{grants}instances.isolation = \"reuse\"\n\
         settings.EMAIL_HOST = \"127.0.0.1\"\nsettings.EMAIL_PORT = {port}\n\
         settings.EMAIL_BACKEND = \"django.core.mail.backends.smtp.EmailBackend\"\n\
         [apps.NAME.settings.LOGGING]\nversion = 1\n\
         formatters.plain.format = \"{{levelname}} {{name}}: {{message}}\"\nformatters.plain.style = \"{{\"\n\
         handlers.console = {{ class = \"logging.StreamHandler\", formatter = \"plain\" }}\n\
         loggers.shop = {{ handlers = [\"console\"], level = \"INFO\" }}"
    );
    let manifest = APPS.iter().fold(Manifest::new(), |manifest, app| {
        manifest.app_of(app, &python_component(app), &keys.replace("NAME", app))
    });
    House::start(&manifest)
}

#[test]
fn mail_goes_out_by_a_granted_connection() {
    let server = Script::start("mail", &[]);
    let house = house(server.port, true);
    for app in APPS {
        assert_eq!(house.get(app, "/mail").json(), json!({ "sent": 1 }), "{app}");
        let message: Value = serde_json::from_str(&server.line()).expect("a message");
        assert_eq!(message["from"], "shop@example.com", "{message}");
        assert_eq!(message["to"], json!(["a@example.com", "b@example.com"]), "{message}");
        let data = message["data"].as_str().expect("a text");
        let parts =
            ["Subject: =?utf-8?", "Message-ID: <", "\r\n.dot\r\n", "filename=\"note.txt\"", "attached"];
        for part in parts {
            assert!(data.contains(part), "{part} in {data}");
        }
    }
}

#[test]
fn mail_that_is_not_granted_is_an_error_of_its_connection() {
    let server = Script::start("mail", &[]);
    let house = house(server.port, false);
    for app in APPS {
        let told = house.get(app, "/mail").json();
        assert!(told["error"].as_str().is_some_and(|text| text.contains("Error")), "{told}");
        house.log().wait_for("the line that grants it", |entry| {
            entry.message().contains("grants.tcp") && entry.message().contains(&server.port.to_string())
        });
    }
}

#[test]
fn the_console_and_loggers_become_log_lines() {
    let house = house(1, false);
    for app in APPS {
        assert_eq!(house.get(app, "/mail?backend=console").json(), json!({ "sent": 1 }), "{app}");
        house
            .log()
            .wait_for("the mail's line", |entry| entry.is_output(app, "To: a@example.com, b@example.com"));
        assert_eq!(house.get(app, "/log").status(), 200, "{app}");
        house
            .log()
            .wait_for("the line of the logger", |entry| entry.is_output(app, "INFO shop.orders: order 7"));
        house
            .log()
            .wait_for("the error's line", |entry| entry.is_output(app, "ERROR shop.orders: order failed"));
        house.log().wait_for("its traceback", |entry| entry.is_output(app, "ValueError: no such order"));
        assert!(house.log().matching(|entry| entry.message().contains("not wanted")).is_empty());
    }
}
