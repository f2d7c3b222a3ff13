// What every graph of a page shares.
"use strict";
// Plotly's own buttons would send the chart to its company: none of them is shown, and there is no address.
const PLOT_CONFIG = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "" };
const GRID = "#e6eaef";

// Plotly takes tags in texts for formatting; names are shown as they are.
function plain(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// Draws, or draws anew. The element has the graph's height too, so that nothing below it moves.
function plot(element, traces, layout) {
  element.style.height = `${layout.height}px`;
  Plotly.react(element, traces, layout, PLOT_CONFIG);
}
