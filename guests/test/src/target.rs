//! The target of a request, taken apart: its path and the parameters of its query, percent-decoded.

/// `/path?name=value&...`
pub struct Target {
    pub path: String,
    parameters: Vec<(String, String)>,
}

impl Target {
    pub fn parse(path_with_query: Option<&str>) -> Target {
        let (path, query) = path_with_query
            .unwrap_or("/")
            .split_once('?')
            .unwrap_or_else(|| (path_with_query.unwrap_or("/"), ""));
        let parameters = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect();
        Target { path: path.to_owned(), parameters }
    }

    /// The first parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All parameters of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).map(|value| value.parse().expect("a number in the query"))
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| {
                    char::from(digit.unwrap_or(b'?')).to_digit(16).expect("two hexadecimal digits after %")
                        as u8
                });
                digits[0] * 16 + digits[1]
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8 in the query")
}
