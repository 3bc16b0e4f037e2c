//! Django applications from PyPI that were not written for this, a wiki and a shop, unchanged: with their own pages and forms,
//! Django's admin, SQLite, static files and uploads.

use std::{fs, path::Path};

use guesthouse_tests::{Browser, House, Response, exec, run};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery staple";

/// A picture of three by two pixels.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02\x08\0\0\0\0\xb8\x1f9\xc6\
    \0\0\0\x0bIDATx\xdac`\x80\0\0\0\x08\0\x01$\xfc\x04r\0\0\0\0IEND\xaeB`\x82";

/// A folder with the app, built of its sources and requirements as anybody would, its database, its static files and one user.
fn site(name: &str, project: &str, keys: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests").join(project);
    let manifest = format!(
        "listen.http = \"127.0.0.1:0\"
         server.log = \"json\"
         [apps.{name}]
         source = {{ python = {project:?}, wsgi = \"{name}site.wsgi:application\", requirements = \"requirements.txt\" }}
         routes = [\"{name}.test\"]
         instances = {{ isolation = \"reuse\" }}
         static = {{ \"/static\" = \"data/static\", \"/media\" = \"data/media\" }}
         {keys}
         [apps.{name}.grants]
         dirs = {{ \"/data\" = {{ path = \"data\", write = true }} }}"
    );
    fs::write(folder.path().join("guesthouse.toml"), manifest).expect("the manifest");
    for kept in ["data/static", "data/media"] {
        fs::create_dir_all(folder.path().join(kept)).expect("a folder");
    }
    let built = run(folder.path(), &["build"]);
    assert_eq!(built.code, Some(0), "{}{}", built.stdout, built.stderr);
    exec(folder.path(), name, &["migrate", "-v0"]);
    exec(folder.path(), name, &["collectstatic", "--noinput", "-v0"]);
    let user = format!(
        "from django.contrib.auth.models import User; User.objects.create_superuser('ann', 'ann@example.com', '{PASSWORD}')"
    );
    exec(folder.path(), name, &["shell", "-v0", "-c", &user]);
    folder
}

/// The page at a path.
fn page(browser: &mut Browser<'_>, path: &str) -> String {
    let answer = browser.get(path);
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    answer.text()
}

/// The page, which has these texts.
fn shows(browser: &mut Browser<'_>, path: &str, texts: &[&str]) -> String {
    let page = page(browser, path);
    for text in texts {
        assert!(page.contains(text), "{path} shows no {text}: {page}");
    }
    page
}

/// Where the answer to a form that was accepted leads; another shows the form again, with what is wrong.
fn leads(answer: &Response) -> &str {
    assert_eq!(answer.status(), 302, "{}", answer.text());
    answer.header("location").expect("a location")
}

/// Fetches the style sheets and scripts that a page names: all of them come from the host, without the app.
fn has_its_static_files(house: &House, browser: &mut Browser<'_>, html: &str) {
    let named = html.split(['"', '\'']).filter(|part| part.starts_with("/static/"));
    let files: Vec<_> = named.filter(|path| path.ends_with(".css") || path.ends_with(".js")).collect();
    assert!(files.len() > 2, "{html}");
    for path in files {
        assert!(!page(browser, path).is_empty(), "{path}");
        house.log().wait_for(path, |entry| {
            entry.message() == "access" && entry.text("path") == path && !entry.text("static").is_empty()
        });
    }
}

/// Stops the house, where no request and no guest has failed.
fn stop(house: House, app: &str) {
    let stopped = house.stop();
    assert!(stopped.status.success());
    for entry in stopped.log {
        let failed = entry.is_access(app) && entry.field("status").as_u64() >= Some(500);
        assert!(!failed && !entry.is_failure(app), "{entry}");
    }
}

#[test]
fn a_wiki_is_written_and_read() {
    let folder = site("wiki", "test-django-wiki", "");
    let house = House::start_at(folder.path(), 1, |_| {});
    let (mut ann, mut visitor) = (Browser::new(&house, "wiki.test"), Browser::new(&house, "wiki.test"));
    assert_eq!(leads(&visitor.get("/oolong/")), "/create-root/");

    let entered = ann.post("/_accounts/login/", &[("username", "ann"), ("password", PASSWORD)]);
    assert_eq!(leads(&entered), "/");
    let root = [
        ("title", "Tea house"),
        ("content", "Welcome to the *house* of [Oolong](wiki:/oolong).\n\n[TOC]\n\n## Teas"),
    ];
    assert_eq!(leads(&ann.post("/create-root/", &root)), "/");
    let text =
        "# Leaves\n\n| kind | degrees |\n|---|---|\n| Tiě Guān Yīn | 95 |\n\n<script>alert(1)</script>";
    let oolong = [("title", "Oolong"), ("slug", "oolong"), ("content", text), ("summary", "the first words")];
    assert_eq!(leads(&ann.post("/_create/", &oolong)), "/oolong/");

    let html = shows(
        &mut visitor,
        "/",
        &["<em>house</em>", "<div class=\"toc\">", "href=\"#wiki-toc-teas\"", "href=\"/oolong/\""],
    );
    has_its_static_files(&house, &mut visitor, &html);
    let html =
        shows(&mut visitor, "/oolong/", &["<h1 id=\"wiki-toc-leaves\">Leaves</h1>", "<td>Tiě Guān Yīn</td>"]);
    assert!(!html.contains("<script>alert"), "{html}");

    // A second version, by the form that shows the first; and what became of it.
    let html = shows(&mut ann, "/oolong/_edit/", &["# Leaves", "Tiě Guān Yīn"]);
    let revision =
        html.split("name=\"current_revision\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let second = [
        ("title", "Oolong"),
        ("content", "Partly oxidised."),
        ("summary", "the second words"),
        ("current_revision", revision.expect("the revision")),
        ("save", "1"),
    ];
    assert_eq!(leads(&ann.post("/oolong/_edit/", &second)), "/oolong/");
    shows(&mut visitor, "/oolong/", &["<p>Partly oxidised.</p>"]);
    shows(&mut visitor, "/oolong/_history/", &["the first words", "the second words"]);
    shows(&mut visitor, "/_search/?q=oxidised", &["href=\"/oolong/\""]);

    // A file is attached, kept in the granted folder, and comes back as it was.
    let content: Vec<u8> = (0..100_000_u32).map(|number| number.wrapping_mul(2_654_435_761) as u8).collect();
    let attached = ann.upload(
        "/oolong/_plugin/attachments/",
        &[("description", "How it is made"), ("save", "1")],
        ("file", "making.pdf", &content),
    );
    assert_eq!(leads(&attached), "/oolong/_plugin/attachments/");
    shows(&mut visitor, "/oolong/_plugin/attachments/", &["making.pdf", "How it is made"]);
    let download = visitor.get("/oolong/_plugin/attachments/download/1/");
    assert_eq!((download.status(), download.body == content), (200, true));

    let html = shows(&mut ann, "/admin/wiki/article/", &["2 articles", "/admin/wiki/article/2/change/"]);
    has_its_static_files(&house, &mut ann, &html);
    // Its boxes are left empty: nobody but its owner and group may read or write it.
    let article = [
        ("current_revision", "3"),
        ("owner", ""),
        ("group", ""),
        ("articlerevision_set-TOTAL_FORMS", "0"),
        ("articlerevision_set-INITIAL_FORMS", "0"),
    ];
    assert_eq!(leads(&ann.post("/admin/wiki/article/2/change/", &article)), "/admin/wiki/article/");
    shows(&mut ann, "/admin/wiki/article/", &["was changed successfully"]);
    stop(house, "wiki");

    // All of it holds in another house.
    let house = House::start_at(folder.path(), 1, |_| {});
    let mut visitor = Browser::new(&house, "wiki.test");
    shows(&mut visitor, "/", &["<em>house</em>"]);
    assert_eq!(leads(&visitor.get("/oolong/")), "/_accounts/login/?next=/oolong/");
    stop(house, "wiki");
}

#[test]
fn a_shop_is_filled_and_sells() {
    let folder = site("shop", "test-django-oscar", "limits = { memory-mib = 256 }");
    // As Oscar asks for.
    let missing = "image_not_found.jpg";
    let static_file = folder.path().join("data/static/oscar/img").join(missing);
    fs::copy(static_file, folder.path().join("data/media").join(missing)).expect("the picture");
    let house = House::start_at(folder.path(), 1, |_| {});
    let (mut ann, mut bo) = (Browser::new(&house, "shop.test"), Browser::new(&house, "shop.test"));

    // By the admin: a country, which is corrected, and a partner.
    let entered = ann.post("/admin/login/?next=/admin/", &[("username", "ann"), ("password", PASSWORD)]);
    assert_eq!(leads(&entered), "/admin/");
    let country = |name| {
        [
            ("iso_3166_1_a2", "AT"),
            ("name", name),
            ("printable_name", name),
            ("display_order", "0"),
            ("is_shipping_country", "on"),
        ]
    };
    let countries = "/admin/address/country/";
    assert_eq!(leads(&ann.post("/admin/address/country/add/", &country("Oesterreich"))), countries);
    let html = shows(&mut ann, countries, &["Oesterreich", "was added successfully"]);
    has_its_static_files(&house, &mut ann, &html);
    assert_eq!(leads(&ann.post("/admin/address/country/AT/change/", &country("Österreich"))), countries);
    shows(&mut ann, "/admin/address/country/?q=%C3%96sterreich", &["Österreich"]);
    let partner = [
        ("name", "Importer"),
        ("code", "importer"),
        ("addresses-TOTAL_FORMS", "0"),
        ("addresses-INITIAL_FORMS", "0"),
    ];
    assert_eq!(leads(&ann.post("/admin/partner/partner/add/", &partner)), "/admin/partner/partner/");

    // By Oscar's own dashboard: a kind of products, a category, and two products, one with a picture.
    let kind = [
        ("name", "Tea"),
        ("requires_shipping", "on"),
        ("track_stock", "on"),
        ("attributes-TOTAL_FORMS", "0"),
        ("attributes-INITIAL_FORMS", "0"),
    ];
    let kinds = "/dashboard/catalogue/product-types/";
    assert_eq!(leads(&ann.post("/dashboard/catalogue/product-type/create/", &kind)), kinds);
    let category = [
        ("name", "Teas"),
        ("slug", "teas"),
        ("is_public", "on"),
        ("treebeard_position", "first-child"),
        ("treebeard_ref_node", ""),
    ];
    let categories = "/dashboard/catalogue/categories/";
    assert_eq!(leads(&ann.post("/dashboard/catalogue/categories/create/", &category)), categories);
    let create = "/dashboard/catalogue/products/create/tea/";
    let product = product("Dragon Well", "dragon-well", "DW", "0");
    assert_eq!(leads(&ann.post(create, &product)), "/dashboard/catalogue/");
    let product = self::product("Sencha", "sencha", "SE", "1");
    let refused = ann.upload(create, &product, ("images-0-original", "sencha.png", b"no picture"));
    assert_eq!(refused.status(), 200);
    assert!(refused.text().contains("Upload a valid image."), "{}", refused.text());
    let taken = ann.upload(create, &product, ("images-0-original", "sencha.png", PNG));
    assert_eq!(leads(&taken), "/dashboard/catalogue/");

    // A customer finds both, registers, and buys two of one.
    let html = shows(&mut bo, "/search/?q=sencha", &["title=\"Sencha\""]);
    has_its_static_files(&house, &mut bo, &html);
    let picture = html.split('"').find(|part| part.starts_with("/media/images/")).expect("a picture");
    assert_eq!(bo.get(picture).body, PNG);
    shows(
        &mut bo,
        "/catalogue/dragon-well_1/",
        &["£12.50", "In stock", "src=\"/media/image_not_found.jpg\""],
    );
    let account = [
        ("registration-email", "bo@example.com"),
        ("registration-password1", PASSWORD),
        ("registration-password2", PASSWORD),
        ("registration_submit", "1"),
    ];
    assert_eq!(leads(&bo.post("/accounts/login/", &account)), "/accounts/profile/");
    let added = bo.submit("/catalogue/dragon-well_1/", "/basket/add/1/", &[("quantity", "2")]);
    assert_eq!(leads(&added), "/basket/");
    shows(&mut bo, "/basket/", &["Dragon Well", "£25.00"]);
    let address = [
        ("first_name", "Bo"),
        ("last_name", "Li"),
        ("line1", "Ring 1"),
        ("line4", "Wien"),
        ("postcode", "1010"),
        ("country", "AT"),
    ];
    assert_eq!(leads(&bo.post("/checkout/shipping-address/", &address)), "/checkout/shipping-method/");
    assert_eq!(leads(&bo.get("/checkout/shipping-method/")), "/checkout/payment-method/");
    assert_eq!(leads(&bo.get("/checkout/payment-method/")), "/checkout/payment-details/");
    shows(&mut bo, "/checkout/preview/", &["Österreich", "£25.00"]);
    let ordered = bo.post("/checkout/preview/", &[("action", "place_order")]);
    assert_eq!(leads(&ordered), "/checkout/thank-you/");
    let html = shows(&mut bo, "/accounts/orders/", &["£25.00"]);
    let mut numbers = html.split("/accounts/orders/").filter_map(|rest| rest.split('/').next());
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = numbers.find(is_number).expect("the number of the order");
    house.log().wait_for("the e-mail", |entry| entry.is_output("shop", "To: bo@example.com"));

    // The order is in the dashboard and in the admin, and the stock knows of it.
    shows(&mut ann, "/dashboard/orders/", &[number, "£25.00"]);
    shows(&mut ann, "/admin/order/order/", &[number]);
    shows(&mut ann, "/admin/partner/stockrecord/1/change/", &["name=\"num_allocated\" value=\"2\""]);
    stop(house, "shop");
}

/// What the dashboard's form of a product sends.
fn product<'a>(title: &'a str, slug: &'a str, sku: &'a str, images: &'a str) -> [(&'a str, &'a str); 21] {
    [
        ("structure", "standalone"),
        ("title", title),
        ("slug", slug),
        ("upc", sku),
        ("is_public", "on"),
        ("is_discountable", "on"),
        ("productcategory_set-TOTAL_FORMS", "1"),
        ("productcategory_set-INITIAL_FORMS", "0"),
        ("productcategory_set-0-category", "1"),
        ("images-TOTAL_FORMS", images),
        ("images-INITIAL_FORMS", "0"),
        ("images-0-display_order", "0"),
        ("stockrecords-TOTAL_FORMS", "1"),
        ("stockrecords-INITIAL_FORMS", "0"),
        ("stockrecords-0-partner", "1"),
        ("stockrecords-0-partner_sku", sku),
        ("stockrecords-0-num_in_stock", "5"),
        ("stockrecords-0-price_currency", "GBP"),
        ("stockrecords-0-price", "12.50"),
        ("primary_recommendations-TOTAL_FORMS", "0"),
        ("primary_recommendations-INITIAL_FORMS", "0"),
    ]
}
