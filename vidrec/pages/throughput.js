// The graph of speed against published accuracy: filters, and the Pareto front of what they leave.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const graph = find("graph");
  const boxes = [...document.querySelectorAll("#families input")];
  const SPEEDS = { clips: "clips_per_s", videos: "videos_per_s" };
  const TITLES = {
    clips: "clips per second (a clip as published: all its frames)",
    videos: "videos per second (all views of the published test)",
  };

  // The networks that no other one beats in both, fastest first.
  function frontOf(rows, speed) {
    const sorted = [...rows].sort((a, b) => b[speed] - a[speed] || b.top1 - a.top1);
    let best = -Infinity;
    return sorted.filter((row) => row.top1 > best && ((best = row.top1), true));
  }

  function chosen() {
    const families = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const dataSet = find("data-set").value, section = find("section").value;
    return data.rows.filter((row) => families.has(row.family)
      && (dataSet === "" || row.data_set === dataSet) && (section === "" || row.section === section));
  }

  function familyTraces(rows, speed) {
    return Object.keys(data.colors).map((family) => {
      const own = rows.filter((row) => row.family === family);
      return {
        type: "scatter", mode: "markers", name: family,
        x: own.map((row) => row[speed]), y: own.map((row) => row.top1),
        customdata: own.map((row) => row.hover), hovertemplate: "%{customdata}<extra></extra>",
        marker: {
          color: data.colors[family], opacity: 0.8, line: { color: "white", width: 1 },
          size: own.map((row) => 2.4 * Math.sqrt(row.parameters / 1e6)), sizemode: "diameter", sizemin: 5,
          symbol: own.map((row) => (row.section === "torch" ? "circle" : "diamond")),
        },
      };
    }).filter((trace) => trace.x.length > 0);
  }

  function frontTrace(front, speed, dataSet) {
    return {
      type: "scatter", mode: "lines+text", name: `front, ${dataSet}`, hoverinfo: "skip",
      x: front.map((row) => row[speed]), y: front.map((row) => row.top1),
      text: front.map((row) => `  ${row.short}`), textposition: "top right", textfont: { size: 11, color: "#444" },
      line: { color: "#444", width: 1.5, dash: "dot", shape: "hv" },
      cliponaxis: false,
    };
  }

  // 1, 2 and 5 of every decade that the numbers reach.
  function ticks(numbers) {
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)].map((number) => Math.floor(Math.log10(number)));
    const tickvals = [];
    for (let decade = low; decade <= high; decade += 1) {
      [1, 2, 5].forEach((step) => tickvals.push(step * 10 ** decade));
    }
    return { tickmode: "array", tickvals, ticktext: tickvals.map((value) => String(Number(value.toPrecision(1)))) };
  }

  function draw() {
    const rows = chosen(), axis = find("speed").value, speed = SPEEDS[axis];
    const sets = Object.keys(data.data_sets).filter((name) => rows.some((row) => row.data_set === name));
    const fronts = sets.map((name) => [name, frontOf(rows.filter((row) => row.data_set === name), speed)]);
    const lines = fronts.map(([name, front]) => frontTrace(front, speed, data.data_sets[name]));
    const layout = {
      height: 620, margin: { l: 70, r: 130, t: 20, b: 60 }, showlegend: false, hovermode: "closest", uirevision: find("data-set").value + axis,
      hoverlabel: { align: "left", bgcolor: "white", bordercolor: "#888", font: { size: 12, color: "#1d2530" } },
      xaxis: { type: "log", title: { text: TITLES[axis] }, gridcolor: GRID, ...ticks(rows.map((row) => row[speed])) },
      yaxis: { title: { text: "top-1, %, as published (not measured by us)" }, gridcolor: GRID },
    };
    plot(graph, [...lines, ...familyTraces(rows, speed)], layout);
    find("shown").textContent = `${rows.length} of ${data.rows.length} networks shown`;
    find("front").replaceChildren(...fronts.map(([name, front]) => {
      const line = document.createElement("p");
      line.textContent = `Front of ${data.data_sets[name]}, fastest first: ` + front.map((row) => `${row.name} (${row.section})`).join(", ");
      return line;
    }));
  }

  function checkAll(checked) {
    boxes.forEach((box) => { box.checked = checked; });
    draw();
  }

  boxes.forEach((box) => box.addEventListener("change", draw));
  ["data-set", "section", "speed"].forEach((id) => find(id).addEventListener("change", draw));
  find("all").addEventListener("click", () => checkAll(true));
  find("none").addEventListener("click", () => checkAll(false));
  draw();
})();
