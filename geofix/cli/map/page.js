"use strict";
// A globe in orthographic projection: no seam at ±180° and no pole that stretches. Everything is
// kept as unit vectors and turned into the view with one rotation.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const world = read("world"), { labels, answers } = read("data");
  const EARTH_KM = 6371.0088, RAD = Math.PI / 180;
  const canvas = document.getElementById("globe"), pen = canvas.getContext("2d");
  const tip = document.getElementById("tip"), panel = document.getElementById("panel");

  // ---- The sphere -------------------------------------------------------------------------
  const unit = (lat, lon) => {
    const c = Math.cos(lat * RAD);
    return [c * Math.cos(lon * RAD), c * Math.sin(lon * RAD), Math.sin(lat * RAD)];
  };
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const angle = (a, b) => Math.acos(Math.max(-1, Math.min(1, dot(a, b))));

  function shape(points) { // flat array of unit vectors with the cap around it
    const flat = new Float64Array(points.length * 3), sum = [0, 0, 0];
    points.forEach((p, i) => { for (let k = 0; k < 3; k++) { flat[3 * i + k] = p[k]; sum[k] += p[k]; } });
    const length = Math.hypot(...sum) || 1, middle = sum.map((v) => v / length);
    const reach = points.reduce((most, p) => Math.max(most, angle(middle, p)), 0);
    return { flat, middle, reach };
  }

  function circle(lat, lon, km) {
    const up = unit(lat, lon), north = unit(lat + 90, lon), d = Math.min(km / EARTH_KM, Math.PI);
    const east = [up[1] * north[2] - up[2] * north[1], up[2] * north[0] - up[0] * north[2], up[0] * north[1] - up[1] * north[0]];
    const at = (t) => [0, 1, 2].map((k) => Math.cos(d) * up[k] + Math.sin(d) * (Math.cos(t) * north[k] + Math.sin(t) * east[k]));
    return Array.from({ length: 181 }, (_, i) => at(i * 2 * RAD));
  }

  const land = world.map((ring) => { // hundredths of a degree, each a step from the one before
    const points = [], seam = [];
    for (let i = 0, lon = 0, lat = 0; i < ring.length; i += 2) {
      lon += ring[i]; lat += ring[i + 1];
      points.push(unit(lat / 100, lon / 100));
      seam.push(Math.abs(lon) >= 17999 || lat <= -8999); // where the data cut the land, not a coast
    }
    return { ...shape(points), points, seam };
  });
  const towns = labels.map(([name, lat, lon]) => ({ name, at: unit(lat, lon) }));

  // ---- The view ---------------------------------------------------------------------------
  let view = { lat: 0, lon: 0, radius: 300 }, basis, size = [1, 1], colours = {}, shown, marks = [];

  function turn() {
    basis = { east: unit(0, view.lon + 90), north: unit(view.lat + 90, view.lon), out: unit(view.lat, view.lon) };
  }
  const project = (p) => [
    size[0] / 2 + view.radius * dot(p, basis.east), size[1] / 2 - view.radius * dot(p, basis.north), dot(p, basis.out),
  ];
  const reachOfView = () => Math.asin(Math.min(1, Math.hypot(...size) / 2 / view.radius));
  const inView = ({ middle, reach }) => angle(middle, basis.out) <= reach + reachOfView() + 0.01;

  // Trace a closed, counter-clockwise shape. What lies behind the globe is drawn along its rim; a
  // shape that holds the point behind the globe is then turned inside out, which the rim's circle
  // in the same even-odd path turns back.
  function trace({ flat }) {
    const { east, north, out } = basis, [cx, cy] = [size[0] / 2, size[1] / 2], r = view.radius;
    let before = null, winding = 0, hidden = false, visible = false;
    const path = [];
    for (let i = 0; i < flat.length; i += 3) {
      const x = flat[i], y = flat[i + 1], z = flat[i + 2];
      let e = x * east[0] + y * east[1] + z * east[2], n = x * north[0] + y * north[1] + z * north[2];
      if (x * out[0] + y * out[1] + z * out[2] < 0) {
        const rim = Math.hypot(e, n) || 1e-12;
        e /= rim; n /= rim; hidden = true;
      } else visible = true;
      path.push(cx + r * e, cy - r * n);
    }
    if (!visible) return;
    pen.moveTo(path[0], path[1]);
    for (let i = 2; i < path.length; i += 2) pen.lineTo(path[i], path[i + 1]);
    pen.closePath();
    if (!hidden) return;
    for (let i = 0; i <= path.length; i += 2) {
      const at = Math.atan2(cy - path[(i + 1) % path.length], path[i % path.length] - cx);
      if (before !== null) winding += Math.atan2(Math.sin(at - before), Math.cos(at - before));
      before = at;
    }
    if (winding < -Math.PI) { pen.moveTo(cx + r, cy); pen.arc(cx, cy, r, 0, 2 * Math.PI); }
  }

  function line(points, seam) { // broken behind the globe and between two points of a seam
    let down = false;
    points.forEach((p, i) => {
      const [x, y, z] = project(p);
      if (z < 0) { down = false; return; }
      if (down && !(seam && seam[i] && seam[i - 1])) pen.lineTo(x, y); else pen.moveTo(x, y);
      down = true;
    });
  }

  // ---- Drawing ----------------------------------------------------------------------------
  function drawGlobe() {
    pen.fillStyle = colours.water;
    pen.beginPath(); pen.arc(size[0] / 2, size[1] / 2, view.radius, 0, 2 * Math.PI); pen.fill();
    pen.strokeStyle = colours.grid; pen.lineWidth = 1;
    pen.beginPath(); graticule(); pen.stroke();
    pen.fillStyle = colours.land; pen.strokeStyle = colours.border; pen.lineWidth = 0.7;
    for (const ring of land) {
      if (!inView(ring)) continue;
      pen.beginPath(); trace(ring); pen.fill("evenodd");
      pen.beginPath(); line(ring.points, ring.seam); pen.stroke();
    }
  }

  function graticule() {
    const reach = reachOfView() / RAD;
    const step = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05].find((s) => s * RAD * view.radius < 220) || 0.05;
    const south = Math.max(-90, view.lat - reach), north = Math.min(90, view.lat + reach);
    const narrow = Math.cos(Math.min(89.9, Math.max(Math.abs(south), Math.abs(north))) * RAD);
    const half = Math.min(180, reach / narrow), fine = step / 8;
    const range = (from, to, by) => Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, i) => from + i * by);
    const down = (value) => Math.floor(value / step) * step;
    for (const lon of range(down(view.lon - half), view.lon + half + step, step)) line(range(south, north, fine).concat(north).map((lat) => unit(lat, lon)));
    for (const lat of range(down(south), north + step, step)) {
      if (Math.abs(lat) < 90) line(range(view.lon - half, view.lon + half + fine, fine).map((lon) => unit(lat, lon)));
    }
  }

  function drawHeat() {
    for (const { shape, share } of shown.heat) {
      if (!inView(shape)) continue;
      pen.fillStyle = `rgba(${colours.heat}, ${(0.08 + 0.62 * share).toFixed(3)})`;
      pen.beginPath(); trace(shape); pen.fill("evenodd");
    }
  }

  function drawCircle(points, dashes) {
    pen.strokeStyle = colours.answer; pen.lineWidth = 2; pen.setLineDash(dashes);
    pen.beginPath(); line(points); pen.stroke(); pen.setLineDash([]);
  }

  function drawMarks() {
    marks = [];
    const put = (mark, radius, paint) => {
      const [x, y, z] = project(mark.at);
      if (z <= 0) return;
      pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI); paint();
      marks.push({ x, y, radius, text: mark.text });
    };
    for (const cluster of shown.clusters) put(cluster, 5 + 16 * Math.sqrt(cluster.probability), () => {
      pen.strokeStyle = colours.cluster; pen.lineWidth = 2; pen.stroke();
    });
    for (const neighbour of shown.neighbours) put(neighbour, 4, () => {
      pen.fillStyle = colours.neighbour; pen.fill(); pen.strokeStyle = colours.paper; pen.lineWidth = 1; pen.stroke();
    });
    put(shown.mark, 8, () => {
      pen.fillStyle = colours.answer; pen.fill(); pen.strokeStyle = colours.paper; pen.lineWidth = 3; pen.stroke();
    });
  }

  function drawLabels() {
    const taken = [];
    pen.font = "12px system-ui, sans-serif"; pen.textBaseline = "middle"; pen.lineJoin = "round";
    for (const town of towns) {
      const [x, y, z] = project(town.at);
      if (z < 0.15 || x < 0 || y < 0 || x > size[0] || y > size[1]) continue;
      const box = [x - 4, y - 9, x + 10 + pen.measureText(town.name).width, y + 9];
      if (taken.some((t) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3])) continue;
      taken.push(box);
      pen.fillStyle = colours.soft; pen.beginPath(); pen.arc(x, y, 2, 0, 2 * Math.PI); pen.fill();
      pen.strokeStyle = colours.land; pen.lineWidth = 3; pen.strokeText(town.name, x + 6, y);
      pen.fillStyle = colours.ink; pen.fillText(town.name, x + 6, y);
      if (taken.length > 60) break;
    }
  }

  function drawScale() {
    const perKm = view.radius / EARTH_KM;
    const nice = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1, 0.5, 0.2].find((km) => km * perKm <= 130) || 0.1;
    const bar = document.querySelector("#scale span");
    bar.style.width = `${nice * perKm}px`;
    bar.textContent = nice < 1 ? `${nice * 1000} m` : `${nice} km`;
  }

  let waiting = false;
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      turn();
      const ratio = window.devicePixelRatio || 1;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, ...size);
      drawGlobe(); drawHeat(); drawLabels();
      drawCircle(shown.circle90, [7, 5]); drawCircle(shown.circle50, []);
      drawMarks(); drawScale();
    });
  }

  // ---- Moving -----------------------------------------------------------------------------
  function go(lat, lon, radius) {
    view.lat = Math.max(-90, Math.min(90, lat));
    view.lon = ((((lon + 180) % 360) + 360) % 360) - 180;
    view.radius = Math.max(Math.min(...size) * 0.2, Math.min(4e6, radius));
    draw();
  }
  const zoom = (factor) => go(view.lat, view.lon, view.radius * factor);
  function home() {
    const reach = Math.min(Math.PI / 2, Math.max(4, shown.answer.radius_90_km * 1.25) / EARTH_KM);
    go(shown.answer.position.lat, shown.answer.position.lon, (Math.min(...size) * 0.46) / Math.sin(reach));
  }

  const fingers = new Map();
  const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener("pointerdown", (e) => { fingers.set(e.pointerId, { x: e.offsetX, y: e.offsetY }); canvas.setPointerCapture(e.pointerId); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => fingers.delete(e.pointerId));
  canvas.addEventListener("pointermove", (e) => {
    const last = fingers.get(e.pointerId);
    if (!last) return hover(e);
    const wide = fingers.size === 2 ? spread() : 0;
    fingers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
    if (wide) return zoom(spread() / wide);
    const degrees = 1 / RAD / view.radius;
    const narrow = Math.max(0.15, Math.cos(view.lat * RAD));
    go(view.lat + (e.offsetY - last.y) * degrees, view.lon - ((e.offsetX - last.x) * degrees) / narrow, view.radius);
  });
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(-e.deltaY * 0.0016)); }, { passive: false });
  canvas.addEventListener("keydown", (e) => {
    const step = 40 / RAD / view.radius;
    const keys = {
      ArrowUp: () => go(view.lat + step, view.lon, view.radius), ArrowDown: () => go(view.lat - step, view.lon, view.radius),
      ArrowLeft: () => go(view.lat, view.lon - step, view.radius), ArrowRight: () => go(view.lat, view.lon + step, view.radius),
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), Home: home,
    };
    if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });
  document.getElementById("closer").onclick = () => zoom(1.6);
  document.getElementById("farther").onclick = () => zoom(1 / 1.6);
  document.getElementById("back").onclick = home;

  function hover(e) {
    const hit = [...marks].reverse().find((m) => Math.hypot(m.x - e.offsetX, m.y - e.offsetY) <= m.radius + 3);
    tip.hidden = !hit;
    if (!hit) return;
    tip.textContent = hit.text;
    tip.style.left = `${Math.min(e.offsetX + 14, size[0] - 200)}px`;
    tip.style.top = `${e.offsetY + 14}px`;
  }

  // ---- The panel: strings go in as text, never as markup ------------------------------------
  function put(parent, tag, text, kind) {
    const element = parent.appendChild(document.createElement(tag));
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  }
  const percent = (p) => (p >= 0.995 ? "> 99 %" : p < 0.01 ? "< 1 %" : `${Math.round(p * 100)} %`);
  const distance = (km) => (km < 1 ? `${Math.round(km * 1000)} m` : km < 10 ? `${km.toFixed(1)} km` : `${Math.round(km)} km`);
  const placed = (...names) => names.filter(Boolean).join(", ");
  const away = (answer, there) => distance(EARTH_KM * angle(unit(answer.position.lat, answer.position.lon), unit(there.lat, there.lon)));

  function rows(title, entries) {
    if (!entries.length) return;
    put(panel, "h2", title);
    const body = put(put(panel, "table"), "tbody");
    for (const [left, right, place] of entries) {
      const row = put(body, "tr", undefined, place && "place");
      put(row, "td", left); put(row, "td", right);
      if (place) row.onclick = () => go(place.lat, place.lon, Math.max(view.radius, 4000));
    }
  }

  function describe(entry) {
    const { name, answer } = entry;
    panel.replaceChildren();
    if (answers.length > 1) {
      const choice = put(panel, "select");
      choice.setAttribute("aria-label", "Photo");
      answers.forEach((one, i) => { const option = put(choice, "option", one.name); option.value = i; option.selected = one === entry; });
      choice.onchange = () => show(answers[choice.value]);
    }
    const { place } = answer;
    put(panel, "h1", placed(place.city, place.region !== place.city && place.region, place.country_name) || "On the open sea");
    put(panel, "p", `${answer.position.lat.toFixed(5)}, ${answer.position.lon.toFixed(5)}`);
    put(panel, "p", name, "soft");
    if (answer.abstention) put(panel, "p", `Can't tell: ${answer.abstention.detail}`, "abstains");
    put(panel, "h2", "How sure");
    for (const [label, km, style] of [["50 %", answer.radius_50_km, "solid"], ["90 %", answer.radius_90_km, "dashed"]]) {
      const key = put(panel, "p", undefined, "key");
      put(key, "i").style.border = `2px ${style} var(--answer)`;
      put(key, "span", `${label} within ${distance(km)}`);
    }
    const names = { 1: "street", 25: "city", 200: "region", 750: "country", 2500: "continent" };
    rows("Within", Object.entries(answer.within).map(([km, p]) => [`${km} km${names[km] ? ` (${names[km]})` : ""}`, percent(p)]));
    put(panel, "p", answer.calibrated ? `Fitted on ${answer.calibrated.dataset}.` : "Not calibrated: a first estimate.", "soft");
    rows("Countries", answer.countries.slice(0, 5).map((c) => [c.name, percent(c.probability)]));
    rows("Clusters of candidates", answer.clusters.slice(0, 8).map((c) => [`${placed(c.city, c.country) || "at sea"} · ${c.channels.join(", ")}`, percent(c.probability), c]));
    rows("Photos that look alike", answer.evidence.neighbours.slice(0, 10).map((n) => [`${n.uri || n.id} · ${away(answer, n)} away`, n.similarity.toFixed(3), n]));
    rows("Text read", answer.evidence.text.map((t) => [t.text + (t.rejected ? ` (not used: ${t.rejected})` : ""), percent(t.confidence)]));
    rows("What it shows", answer.evidence.attributes.map((a) => [a.name, percent(a.probability)]));
    put(panel, "h2", "Made with");
    put(panel, "p", `${answer.encoder}; ${answer.galleries.map((g) => `${g.name} version ${g.version}, ${g.count} photos`).join("; ") || "no gallery"}`, "soft");
  }

  function show(entry) {
    const { answer } = entry;
    const cells = (answer.heatmap ? answer.heatmap.features : []).map((f) => ({ f, shape: shape(f.geometry.coordinates[0].slice(0, -1).map(([lon, lat]) => unit(lat, lon))) }));
    // By density, so that a larger cell does not look likelier than a small one.
    const dense = cells.map(({ f, shape: s }) => f.properties.probability / (s.reach * s.reach));
    const most = Math.max(1e-12, ...dense);
    const { lat, lon } = answer.position;
    shown = {
      answer,
      heat: cells.map(({ shape: s }, i) => ({ shape: s, share: Math.sqrt(dense[i] / most) })),
      circle50: circle(lat, lon, answer.radius_50_km), circle90: circle(lat, lon, answer.radius_90_km),
      mark: { at: unit(lat, lon), text: `Answer: ${placed(answer.place.city, answer.place.country_name)}` },
      clusters: answer.clusters.map((c) => ({ at: unit(c.lat, c.lon), probability: c.probability, text: `${placed(c.city, c.country)} ${percent(c.probability)}\n${c.channels.join(", ")}` })),
      neighbours: answer.evidence.neighbours.map((n) => ({ at: unit(n.lat, n.lon), text: `${n.uri || n.id}\nsimilarity ${n.similarity.toFixed(3)}, ${away(answer, n)} away` })),
    };
    describe(entry);
    home();
  }

  function fit() {
    const box = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    size = [box.width, box.height];
    canvas.width = Math.round(box.width * ratio); canvas.height = Math.round(box.height * ratio);
  }
  function paint() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["paper", "ink", "soft", "water", "land", "border", "grid", "heat", "answer", "neighbour", "cluster"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  new ResizeObserver(() => { fit(); draw(); }).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { paint(); draw(); });
  fit(); paint(); show(answers[0]);
})();
