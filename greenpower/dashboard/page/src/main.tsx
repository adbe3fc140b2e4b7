// The page starts here.

import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";

import { App } from "./app";
import { applyTheme } from "./lib/theme";

applyTheme();
render(<App />, document.getElementById("page")!);
