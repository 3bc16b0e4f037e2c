//! What the guests `stores` and their like are asked, and what they answer.

use serde_json::Value as Json;

use crate::House;

impl House {
    /// Asks an app to use a store: see the guest `stores`.
    ///
    /// # Panics
    ///
    /// When it gives no answer.
    pub fn ask(&self, app: &str, question: &str) -> Json {
        let answer = self.get(app, question);
        assert_eq!(answer.status(), 200, "{app} {question}: {}", answer.text());
        answer.json()
    }

    /// Asks for something that is to end in an error of the store, and gives that.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn ask_in_vain(&self, app: &str, question: &str) -> String {
        let answer = self.ask(app, question);
        answer["error"].as_str().unwrap_or_else(|| panic!("{app} {question}: {answer}")).to_owned()
    }
}
