"""What test_serving.py runs: a page in headless Chromium, a file chosen, what it then shows."""

import base64
import json
import os
import sys
from pathlib import Path

CHOOSE = """
(() => {
  const bytes = Uint8Array.from(atob("%s"), c => c.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], "%s"));
  const input = document.getElementById("file");
  input.files = files.files;
  input.dispatchEvent(new Event("change"));
})()
"""
LOOK = """
JSON.stringify({
  state: document.getElementById("state").textContent,
  text: document.getElementById("facts").innerText,
  widths: ["trace", "attribution"].map(id => document.getElementById(id).naturalWidth),
})
"""


def main(url, file):
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"
    os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = "--disable-gpu --log-level=3"
    from PyQt6.QtCore import QTimer, QUrl
    from PyQt6.QtWebEngineCore import QWebEnginePage
    from PyQt6.QtWebEngineWidgets import QWebEngineView
    from PyQt6.QtWidgets import QApplication

    app, errors = QApplication(sys.argv[:1]), []

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level, message, line, source):
            errors.append(message)

    view = QWebEngineView()
    page = Page(view)
    view.setPage(page)
    view.resize(1100, 1600)
    view.show()
    data = base64.b64encode(Path(file).read_bytes()).decode()

    def seen(text):
        shown = json.loads(text)
        if shown["state"] in ("", "Reading …") or (
            shown["state"] == "Done." and not min(shown["widths"])
        ):
            QTimer.singleShot(500, lambda: page.runJavaScript(LOOK, seen))
            return
        view.grab().save(str(Path(file).with_name("screen.png")))
        print(json.dumps({**shown, "errors": errors}))
        app.quit()

    def loaded(ok):
        page.runJavaScript(CHOOSE % (data, Path(file).name))
        QTimer.singleShot(1000, lambda: page.runJavaScript(LOOK, seen))

    page.loadFinished.connect(loaded)
    view.load(QUrl(url))
    QTimer.singleShot(200_000, lambda: app.exit(3))
    sys.exit(app.exec())


if __name__ == "__main__":
    main(*sys.argv[1:])
