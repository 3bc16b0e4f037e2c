"""A round through Django's admin in a real browser: round.py URL PASSWORD PROJECT SCREENSHOTS

Logs in, adds, changes, searches and deletes, uploads a file, changes the password, and sees a saved file of the project in
the page. Prints a line for each step; a step that fails ends it with a screenshot of what the browser shows.
"""

import hashlib
import pathlib
import shutil
import sys
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 120
NEW_PASSWORD = "another horse, another battery"
LARGE = 3_000_000  # More than Django keeps in memory.


class Round:
    def __init__(self, url, screenshots):
        options = webdriver.ChromeOptions()
        for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1200,900"]:
            options.add_argument(argument)
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.browser = webdriver.Chrome(options, service)
        self.browser.set_page_load_timeout(PATIENCE)
        self.url, self.screenshots = url, screenshots

    def see(self, step):
        self.browser.save_screenshot(str(self.screenshots / f"{step}.png"))
        print(f"seen: {step}", flush=True)

    def open(self, path):
        self.browser.get(self.url + path)

    def wait(self, condition):
        return WebDriverWait(self.browser, PATIENCE).until(condition)

    def fill(self, **fields):
        for name, value in fields.items():
            field = self.browser.find_element(By.NAME, name)
            if field.get_attribute("type") != "file":
                field.clear()
            field.send_keys(value)

    def press(self, selector):
        """Presses a button that leads to another page."""
        page = self.browser.find_element(By.TAG_NAME, "html")
        self.browser.find_element(By.CSS_SELECTOR, selector).click()
        self.wait(expected.staleness_of(page))

    def text(self, selector="body"):
        return self.wait(expected.presence_of_element_located((By.CSS_SELECTOR, selector))).text

    def says(self, text, selector="body"):
        found = self.text(selector)
        assert text in found, f"no {text!r} in {found!r}"

    def log_in(self, password):
        self.open("/admin/")
        self.fill(username="ann", password=password)
        self.press("input[type=submit]")


def admin(round, password):
    round.open("/admin/")
    # The style sheet is the admin's own: the header has its colour.
    colour = round.wait(expected.presence_of_element_located((By.ID, "header"))).value_of_css_property("background-color")
    assert colour not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"), colour
    round.fill(username="ann", password="donkey")
    round.press("input[type=submit]")
    round.says("correct username and password", ".errornote")
    round.see("1-refused")
    round.log_in(password)
    round.says("Site administration")
    round.see("2-logged-in")

    content = b"guesthouse" * (LARGE // 10)
    with tempfile.NamedTemporaryFile(prefix="picture-", suffix=".bin") as large:
        large.write(content)
        large.flush()
        round.open("/admin/ledger/note/add/")
        round.fill(title="Room with a view", price="12.5", attachment=large.name)
        round.press("input[name=_continue]")
    round.says("was added successfully", ".messagelist")
    kept = round.browser.find_element(By.CSS_SELECTOR, ".file-upload a").text
    assert kept.startswith("notes/picture-"), kept
    round.see("3-added-with-upload")

    round.fill(title="Room without a view")
    round.press("input[name=_save]")
    round.says("was changed successfully", ".messagelist")
    round.open("/admin/ledger/note/add/")
    round.fill(title="Breakfast")
    round.press("input[name=_save]")
    round.says("2 notes", ".paginator")
    round.see("4-changed")

    round.fill(q="without")
    round.press("#changelist-search input[type=submit]")
    round.says("1 result", "#changelist-search")
    round.says("Room without a view", "#result_list")
    round.see("5-found")
    round.press("#result_list tbody th a")
    round.press("a.deletelink")
    round.says("Are you sure")
    round.press("#content input[type=submit]")
    round.says("was deleted successfully", ".messagelist")
    round.see("6-deleted")

    round.open("/admin/password_change/")
    round.fill(old_password=password, new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    round.press("input[type=submit]")
    round.says("Your password was changed")
    round.press("#logout-form button")
    round.log_in(NEW_PASSWORD)
    round.says("Site administration")
    round.see("7-with-the-new-password")
    return kept, hashlib.sha256(content).hexdigest()


def reload(round, project):
    """Saves a file of the project, and looks at the page until it shows."""
    round.open("/admin/")
    round.says("Django administration", "#header")
    file = project / "ledger/admin.py"
    file.write_text(file.read_text() + '\nadmin.site.site_header = "Saved a moment ago"\n')
    saved = time.monotonic()
    while "Saved a moment ago" not in round.text("#header"):
        assert time.monotonic() - saved < PATIENCE, "the saved file does not show"
        round.browser.refresh()
    print(f"a saved file showed after {time.monotonic() - saved:.2f} s", flush=True)
    round.see("8-saved-file")


def main(url, password, project, screenshots):
    project, screenshots = pathlib.Path(project), pathlib.Path(screenshots)
    screenshots.mkdir(parents=True, exist_ok=True)
    round = Round(url, screenshots)
    try:
        kept, digest = admin(round, password)
        stored = (project / "store/media" / kept).read_bytes()
        assert hashlib.sha256(stored).hexdigest() == digest, "the upload is whole"
        reload(round, project)
    except Exception:
        round.see("failed")
        print(round.browser.current_url, round.text(), sep="\n", file=sys.stderr)
        raise
    finally:
        round.browser.quit()


main(*sys.argv[1:])
