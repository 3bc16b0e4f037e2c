SECRET_KEY = "test-two"
SITE_TITLE = "two"
ALLOWED_HOSTS = ["two.localhost"]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
INSTALLED_APPS = []
