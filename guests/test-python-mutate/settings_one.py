SECRET_KEY = "test-one"
SITE_TITLE = "one"
ALLOWED_HOSTS = ["one.localhost"]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
INSTALLED_APPS = []
