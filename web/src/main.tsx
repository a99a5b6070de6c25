import "leaflet/dist/leaflet.css";
import "./page.css";

import { render } from "preact";

import { pageSettings } from "./api/client";
import { App } from "./app";
import { readSharedAnswer } from "./export/link";
import { restoreKey } from "./key";
import { addShared, settings } from "./state";
import { restoreTheme } from "./theme";
import { language } from "./words/words";

restoreTheme();
restoreKey();
document.documentElement.lang = language.value;
try {
  settings.value = await pageSettings();
} catch {
  // the defaults do; whatever is wrong shows when a photo is sent
}
const shared = readSharedAnswer(location.hash);
const root = document.getElementById("app");
if (root) render(<App />, root);
if (shared) addShared(shared.name, shared.answer);
