// The graphs of a run's page. Each is drawn where its element stands; the HTML says what is missing.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const COLORS = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#e377c2", "#7f7f7f", "#bcbd22"];
  const WORST = 25; // classes that stand in the matrix of the most confused

  function drawCurves(name, curves) {
    const traces = curves.map((curve, place) => ({
      type: "scatter", mode: curve.x.length > 60 ? "lines" : "lines+markers", x: curve.x, y: curve.y, name: plain(curve.name),
      line: { color: COLORS[place % COLORS.length], width: name === "loss" && place === 0 ? 1 : 2 }, marker: { size: 5 },
      opacity: name === "loss" && place === 0 && curves.length > 1 ? 0.5 : 1,
      hovertemplate: `%{y:.5g} after %{x:.4g} epochs<extra>${plain(curve.name)}</extra>`,
    }));
    const shapes = data.curves.starts.map((x) => (
      { type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: "#888", width: 1, dash: "dot" } }));
    plot(find(`graph-${name}`), traces, {
      height: 340, margin: { l: 60, r: 20, t: 20, b: 45 }, shapes, hovermode: "closest",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11 } }, showlegend: true,
      xaxis: { title: { text: "epochs" }, gridcolor: GRID, rangemode: "tozero" },
      yaxis: { gridcolor: GRID, rangemode: name === "loss" ? "normal" : "tozero" },
    });
  }

  function drawViews() {
    const traces = [];
    const names = { top1: "top-1", top5: "top-5", map: "mAP" };
    const crops = [...new Set(data.by_views.map((row) => row.crops))];
    Object.keys(names).forEach((key, color) => crops.forEach((count, style) => {
      const rows = data.by_views.filter((row) => row.crops === count && row[key] !== undefined);
      if (rows.length === 0) return;
      traces.push({
        type: "scatter", mode: "lines+markers", x: rows.map((row) => row.views), y: rows.map((row) => row[key]),
        name: `${names[key]}, ${count} crop${count === 1 ? "" : "s"}`, line: { color: COLORS[color], dash: style ? "dash" : "solid" },
        hovertemplate: "%{y:.4f} with %{x} views<extra></extra>",
      });
    }));
    plot(find("graph-views"), traces, {
      height: 320, margin: { l: 60, r: 20, t: 20, b: 45 }, hovermode: "closest",
      xaxis: { title: { text: "views of a video" }, gridcolor: GRID, rangemode: "tozero" }, yaxis: { gridcolor: GRID },
    });
  }

  const ORDERS = {
    worst: (a, b) => (a[1] ?? 2) - (b[1] ?? 2), best: (a, b) => (b[1] ?? -1) - (a[1] ?? -1),
    label: () => 0, videos: (a, b) => (b[2] ?? 0) - (a[2] ?? 0),
  };

  function drawClasses() {
    const rows = [...data.classes].sort(ORDERS[find("class-order").value]).reverse(); // the first bar is the lowest one
    const named = rows.map((row) => (row[2] === null ? "" : `, ${row[2]} videos`));
    plot(find("graph-classes"), [{
      type: "bar", orientation: "h", y: rows.map((row) => plain(row[0])), x: rows.map((row) => row[1] ?? 0), marker: { color: "#3f7cbf" },
      customdata: rows.map((row, place) => (row[1] === null ? "no video" : row[1].toFixed(4)) + named[place]),
      text: rows.map((row) => (row[1] === null ? "no video" : row[1].toFixed(2))), textposition: "outside", cliponaxis: false,
      hovertemplate: "%{y}: %{customdata}<extra></extra>",
    }], {
      height: Math.max(220, 80 + 19 * rows.length), margin: { l: 10, r: 60, t: 55, b: 10 },
      xaxis: { range: [0, 1], side: "top", title: { text: data.of_what }, gridcolor: GRID },
      yaxis: { type: "category", automargin: true, tickfont: { size: 11 }, dtick: 1, range: [-0.6, rows.length - 0.4] },
    });
  }

  // The classes of the pairs that are confused most, in order of the labels; at most WORST of them.
  function mostConfused(counts) {
    const pairs = counts.flatMap((row, label) => row.map((count, column) => [count, label, column]))
      .filter(([count, label, column]) => count > 0 && label !== column).sort((a, b) => b[0] - a[0]);
    const chosen = new Set();
    for (const [, label, column] of pairs) {
      if (new Set([...chosen, label, column]).size > WORST) break;
      chosen.add(label).add(column);
    }
    return [...chosen].sort((a, b) => a - b);
  }

  function drawConfusion() {
    const { names, counts } = data.confusion;
    const chosen = find("confusion-classes").value === "worst" ? mostConfused(counts) : names.map((_, label) => label);
    const titles = chosen.map((label) => plain(names[label]));
    const cells = chosen.map((row) => chosen.map((column) => counts[row][column]));
    const sums = chosen.map((row) => counts[row].reduce((sum, count) => sum + count, 0) || 1);
    const few = chosen.length <= 25;
    plot(find("graph-confusion"), [{
      type: "heatmap", x: titles, y: titles, z: cells.map((row, place) => row.map((count) => count / sums[place])), customdata: cells,
      text: cells.map((row) => row.map((count) => count || "")),
      zmin: 0, zmax: 1, xgap: few ? 1 : 0, ygap: few ? 1 : 0, colorbar: { title: { text: "share" }, thickness: 14 },
      // Small shares are to be seen where classes are many.
      colorscale: few ? [[0, "#f4f7fb"], [1, "#0b3d78"]] : [[0, "#ffffff"], [0.02, "#c6d9ee"], [0.2, "#5b93c9"], [1, "#0b3d78"]],
      texttemplate: few ? "%{text}" : "",
      hovertemplate: "label %{y}<br>prediction %{x}<br>%{customdata} videos, %{z:.1%} of the label's<extra></extra>",
    }], {
      height: Math.min(900, Math.max(420, 160 + 26 * chosen.length)), margin: { l: 10, r: 10, t: 10, b: 10 },
      xaxis: { type: "category", title: { text: "prediction" }, automargin: true, tickangle: -60, tickfont: { size: 11 }, constrain: "domain" },
      yaxis: { type: "category", title: { text: "label" }, automargin: true, autorange: "reversed", tickfont: { size: 11 } },
    });
  }

  Object.entries(data.curves.graphs).forEach(([name, curves]) => { if (find(`graph-${name}`)) drawCurves(name, curves); });
  if (find("graph-views")) drawViews();
  if (find("graph-classes")) {
    find("class-order").addEventListener("change", drawClasses);
    drawClasses();
  }
  if (find("graph-confusion")) {
    find("confusion-classes").addEventListener("change", drawConfusion);
    drawConfusion();
  }
})();
