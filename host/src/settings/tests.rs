use super::*;

/// Settings from TOML text, by way of toml's own value type.
fn settings(text: &str) -> Settings {
    fn table(from: toml::Table) -> Table {
        from.into_iter().map(|(key, from)| (key, value(from))).collect()
    }
    fn value(from: toml::Value) -> Value {
        match from {
            toml::Value::Boolean(from) => Value::Boolean(from),
            toml::Value::Integer(from) => Value::Integer(from),
            toml::Value::Float(from) => Value::Float(from),
            toml::Value::String(from) => Value::Text(from),
            toml::Value::Datetime(from) => Value::Text(from.to_string()),
            toml::Value::Array(from) => Value::List(from.into_iter().map(value).collect()),
            toml::Value::Table(from) => Value::Table(table(from)),
        }
    }
    Settings::new(table(text.parse().unwrap()))
}

const SAMPLE: &str = r#"
DEBUG = false
TIME_ZONE = "Europe/Vienna"
ALLOWED_HOSTS = ["a.example", "b.example", { deep = [1, 2.0] }]
RATE = 1.0
SINCE = 1979-05-27T07:32:00Z
[DATABASES.default]
NAME = "db"
PORT = -5432
[LOGGING.loggers."django.request"]
level = "INFO"
"tab\there \"quoted\" ü" = 1
[EMPTY]
"#;

#[test]
fn values_are_reached_by_dotted_path_with_their_types() {
    let settings = settings(SAMPLE);
    let get = |path| settings.get(path);
    assert_eq!(get("DEBUG"), Some(ValueRef::Boolean(false)));
    assert_eq!(get("TIME_ZONE"), Some(ValueRef::Text("Europe/Vienna")));
    assert_eq!(get("DATABASES.default.PORT"), Some(ValueRef::Integer(-5432)));
    assert_eq!(get("RATE"), Some(ValueRef::Float(1.0)));
    assert_eq!(get("SINCE"), Some(ValueRef::Text("1979-05-27T07:32:00Z")));
    assert_eq!(get("ALLOWED_HOSTS.1"), Some(ValueRef::Text("b.example")));
    assert_eq!(get("ALLOWED_HOSTS.2.deep.1"), Some(ValueRef::Float(2.0)));
    assert_eq!(get("LOGGING.loggers.\"django.request\".level"), Some(ValueRef::Text("INFO")));
    assert_eq!(get("LOGGING . 'loggers'\t.'django.request'. level "), Some(ValueRef::Text("INFO")));
    assert!(matches!(get("EMPTY"), Some(ValueRef::Table(table)) if table.is_empty()));
    let Some(ValueRef::Table(all)) = get("") else { panic!("the empty path is the table of all settings") };
    let keys: Vec<&str> = all.keys().map(String::as_str).collect();
    let in_order = ["DEBUG", "TIME_ZONE", "ALLOWED_HOSTS", "RATE", "SINCE", "DATABASES", "LOGGING", "EMPTY"];
    assert_eq!(keys, in_order);
}

#[test]
fn escapes_of_basic_strings_are_those_of_toml() {
    let settings = settings("\"a\\\"b\\\\c\\u00e9\\te\\U0001F600\" = 1\n'' = 2");
    assert_eq!(settings.get(r#""a\"b\\c\u00e9\te\U0001F600""#), Some(ValueRef::Integer(1)));
    assert_eq!(settings.get(r#""\x61\"b\\cé\te😀""#), Some(ValueRef::Integer(1)));
    assert_eq!(settings.get("\"\""), Some(ValueRef::Integer(2)), "a quoted key may be empty");
    assert_eq!(settings.get("''"), Some(ValueRef::Integer(2)));
}

#[test]
fn what_is_not_there_or_not_well_formed_finds_nothing() {
    let settings = settings(SAMPLE);
    let absent = ["NO", "DEBUG.x", "ALLOWED_HOSTS.3", "ALLOWED_HOSTS.x", "DATABASES.Default", "debug"];
    let not_an_index =
        ["ALLOWED_HOSTS.00", "ALLOWED_HOSTS.01", "ALLOWED_HOSTS.-1", "ALLOWED_HOSTS.18446744073709551616"];
    let malformed = [
        ".",
        "DEBUG.",
        ".DEBUG",
        "DATABASES..default",
        " ",
        "TIME ZONE",
        "DEBUG x",
        "\"DEBUG",
        "'DEBUG",
        "DEBUG\n",
        "\"a\nb\"",
        "\"\\q\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\u+041\"",
        "DATABASES.é",
        "DEBUG = 1",
        "[DEBUG]",
        "\"DEBUG\"x",
    ];
    for path in absent.iter().chain(&not_an_index).chain(&malformed) {
        assert_eq!(settings.get(path), None, "{path:?}");
        assert_eq!(settings.get_json(path), None, "{path:?}");
    }
}

#[test]
fn subtrees_are_json_in_the_order_of_the_manifest() {
    let settings = settings(SAMPLE);
    let json = |path| settings.get_json(path).unwrap();
    assert_eq!(json("DATABASES"), r#"{"default":{"NAME":"db","PORT":-5432}}"#);
    assert_eq!(json("ALLOWED_HOSTS"), r#"["a.example","b.example",{"deep":[1,2.0]}]"#);
    assert_eq!(json("TIME_ZONE"), r#""Europe/Vienna""#);
    assert_eq!(json("DEBUG"), "false");
    assert_eq!(json("EMPTY"), "{}");
    assert!(json("").starts_with(r#"{"DEBUG":false,"TIME_ZONE""#));
    let floats = super::tests::settings("x = [inf, -inf, nan, 1e300, 0.1, -0.0]");
    assert_eq!(floats.get_json("x").unwrap(), r#"["inf","-inf","nan",1e+300,0.1,-0.0]"#);
}

#[test]
fn the_flat_view_has_every_leaf_once_under_a_path_that_reads_it_back() {
    let settings = settings(SAMPLE);
    let flat = settings.to_flat();
    let expected = [
        ("DEBUG", "false"),
        ("TIME_ZONE", "Europe/Vienna"),
        ("ALLOWED_HOSTS", r#"["a.example","b.example",{"deep":[1,2.0]}]"#),
        ("RATE", "1.0"),
        ("SINCE", "1979-05-27T07:32:00Z"),
        ("DATABASES.default.NAME", "db"),
        ("DATABASES.default.PORT", "-5432"),
        ("LOGGING.loggers.\"django.request\".level", "INFO"),
        ("LOGGING.loggers.\"django.request\".\"tab\\there \\\"quoted\\\" ü\"", "1"),
    ];
    let expected: Vec<_> = expected.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
    assert_eq!(flat, expected);
    for (path, text) in flat {
        assert_eq!(settings.get_text(&path), Some(text), "{path}");
    }
    assert_eq!(settings.get_text("DATABASES"), None, "tables appear as their leaves");
    assert_eq!(settings.get_text(""), None);
}

#[test]
fn the_flat_view_also_finds_plain_keys_that_are_no_paths() {
    let settings = settings("\"db:url\" = 'x'\n\"a.b\" = 1\n[c]\nd = 2\n[\"c.d\"]\n[\"\"]\ne = 1");
    assert_eq!(settings.get_text("db:url").as_deref(), Some("x"));
    assert_eq!(settings.get_text("a.b").as_deref(), Some("1"));
    assert_eq!(settings.get_text("c.d").as_deref(), Some("2"), "a path goes before a plain key");
    assert_eq!(settings.get("db:url"), None, "guesthouse:settings takes paths alone");
}

#[test]
fn layers_merge_tables_and_replace_all_else() {
    let base = settings("a = 1\nlist = [1, 2]\n[t]\nx = 1\ny = 2\n[u]\nz = 1");
    let over = settings("list = [3]\nnew = true\nu = 'no table'\na = { b = 1 }\n[t]\ny = 3");
    let merged = base.overlaid(over.root());
    assert_eq!(
        merged.get_json("").unwrap(),
        r#"{"a":{"b":1},"list":[3],"t":{"x":1,"y":3},"u":"no table","new":true}"#
    );
    assert_eq!(base.get_json("a").unwrap(), "1", "the layer below is left as it was");
}
