// The report's page, run by a browser: unpacks the points, draws them with uPlot, zooms, pans and jumps. What is drawn is
// thinned to the width of the screen at every zoom, lowest and highest of each column, so that a year stays fluid.
/* global document, window, requestAnimationFrame, performance, uPlot, fetch, queueMicrotask, Response, DecompressionStream, getComputedStyle, followTheme */
const MISSING = 0xffff;
const BLOCK = 64;
const SECONDS_ZERO_MS = 1e12;
const AXIS_PX = 60;
const RIGHT_PX = 16;
/** A date under an axis, and some room to the next. */
const DATE_PX = 84;
const { form, feeders } = JSON.parse(document.getElementById('data').textContent);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
/** Seconds, as uPlot counts them: since 1970, or those of the trace. */
const seconds = (atMs) => (form === 'utc' ? atMs / 1000 : (atMs - SECONDS_ZERO_MS) / 1000);

async function unpack(feeder) {
  const packed = await fetch(`data:application/octet-stream;base64,${feeder.data}`);
  const stream = packed.body.pipeThrough(new DecompressionStream('deflate'));
  const buffer = await new Response(stream).arrayBuffer();
  const { count } = feeder;
  let at = 0;
  const take = (Kind) => {
    const column = new Kind(buffer.slice(at, at + count * Kind.BYTES_PER_ELEMENT));
    at += count * Kind.BYTES_PER_ELEMENT;
    return column;
  };
  const times = take(Float64Array).map((offsetMs) => seconds(feeder.startMs + offsetMs));
  const columns = [take(Uint16Array), take(Uint16Array), take(Uint16Array), take(Uint16Array)];
  return { times, columns, level: take(Uint8Array), bad: take(Uint8Array), stepA: feeder.stepA };
}

function medianInterval(times) {
  const some = [];
  for (let at = 1; at < times.length && some.length < 5000; at++) some.push(times[at] - times[at - 1]);
  some.sort((a, b) => a - b);
  return some[Math.floor(some.length / 2)] || 1;
}

function firstAtOrAfter(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Lowest and highest of each block of points, so that a year is looked at in some thousands of steps. */
function blocksOf({ columns, level }) {
  const count = Math.ceil(level.length / BLOCK);
  const made = columns.map(() => ({
    low: new Uint16Array(count).fill(MISSING),
    high: new Uint16Array(count).fill(MISSING),
  }));
  const least = new Uint8Array(count).fill(100);
  for (let index = 0; index < level.length; index++) {
    const block = Math.floor(index / BLOCK);
    if (level[index] < least[block]) least[block] = level[index];
    for (let which = 0; which < columns.length; which++) {
      const value = columns[which][index];
      if (value === MISSING) continue;
      const { low, high } = made[which];
      if (value < low[block]) low[block] = value;
      if (high[block] === MISSING || value > high[block]) high[block] = value;
    }
  }
  return { columns: made, level: least };
}

/** The lowest, or the highest, of what has a value; null where none has. */
function extreme(values, from, to, isHigh) {
  let best = MISSING;
  for (let index = from; index < to; index++) {
    const value = values[index];
    if (value !== MISSING && (best === MISSING || (isHigh ? value > best : value < best))) best = value;
  }
  return best === MISSING ? null : best;
}

function least(values, from, to) {
  let found = 100;
  for (let index = from; index < to; index++) if (values[index] < found) found = values[index];
  return found;
}

/** The points from `min` to `max`, at most two per pixel, with a hole where there is a gap. */
function visible(points, min, max, pixels) {
  const { times, columns, level, stepA, blocks, gapS, gaps } = points;
  let from = Math.max(0, firstAtOrAfter(times, min) - 1);
  const to = Math.min(times.length, firstAtOrAfter(times, max) + 1);
  let stride = Math.max(1, Math.floor((to - from) / pixels));
  const isCoarse = stride >= BLOCK;
  if (isCoarse) {
    stride = Math.ceil(stride / BLOCK) * BLOCK;
    from = Math.floor(from / BLOCK) * BLOCK;
  }
  const out = [[], [], [], [], [], []];
  const push = (index, pick, permitted) => {
    out[0].push(times[index]);
    for (let phase = 0; phase < 3; phase++) {
      const found = pick(phase);
      out[phase + 1].push(found === null ? null : found * stepA);
    }
    out[4].push(permitted);
    const heat = pick(3);
    out[5].push(heat === null ? null : heat / 10);
  };
  const begin = from;
  // What is narrower than a pixel is no hole to be seen.
  const wideS = Math.max(gapS, (max - min) / pixels);
  let gap = firstAtOrAfter(gaps, from + 1);
  for (let at = from, end = from; at < to; at = end) {
    while (gaps[gap] <= at || times[gaps[gap]] - times[gaps[gap] - 1] <= wideS) gap++;
    // A stride that a gap cuts short goes on behind it to where it would have ended.
    end = Math.min(to, begin + (Math.floor((at - begin) / stride) + 1) * stride, gaps[gap] ?? to);
    if (at > from && times[at] - times[at - 1] > wideS) {
      out[0].push((times[at] + times[at - 1]) / 2);
      for (let series = 1; series < out.length; series++) out[series].push(null);
    }
    const isWhole = isCoarse && at % BLOCK === 0 && (end % BLOCK === 0 || end === times.length);
    const [first, last] = isWhole ? [at / BLOCK, Math.ceil(end / BLOCK)] : [at, end];
    const of = (isHigh) => (which) => {
      const values = isWhole ? blocks.columns[which][isHigh ? 'high' : 'low'] : columns[which];
      return extreme(values, first, last, isHigh);
    };
    const permitted = least(isWhole ? blocks.level : level, first, last);
    push(at, of(false), permitted);
    if (end - at > 1) push(end - 1, of(true), permitted);
  }
  return out;
}

function shade(plot, feeder) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = colour('shade');
  for (const [start, end] of feeder.episodes) {
    const left = plot.valToPos(seconds(start), 'x', true);
    const right = plot.valToPos(seconds(end), 'x', true);
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    const from = Math.max(left, bbox.left);
    ctx.fillRect(from, bbox.top, Math.max(2, Math.min(right, bbox.left + bbox.width) - from), bbox.height);
  }
  ctx.restore();
}

function levels(plot, feeder, marked) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui`;
  const told = [];
  for (const { name, valueA, isOther } of feeder.lines) {
    const y = plot.valToPos(valueA, 'A', true);
    if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(isOther ? 'other' : name === 'dropout' ? 'faint' : 'limit');
    ctx.lineWidth = devicePixelRatio;
    const dash = isOther ? [2, 3] : name === 'rating' || name === 'emergency' ? [] : [6, 4];
    ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    // Those of the other settings are told at the other end, where they hide nothing; close ones side by side.
    const text = `${name} ${valueA} A`;
    const space = 6 * devicePixelRatio;
    const wide = ctx.measureText(text).width + 2 * space;
    const close = told.filter((one) => one.isOther === isOther && Math.abs(one.y - y) < 2 * space);
    const aside = close.reduce((sum, one) => sum + one.wide, space);
    ctx.textBaseline = 'alphabetic';
    ctx.textAlign = isOther ? 'right' : 'left';
    ctx.fillText(text, isOther ? bbox.left + bbox.width - aside : bbox.left + aside, y - 4 * devicePixelRatio);
    told.push({ isOther, y, wide });
  }
  if (marked !== null) {
    const x = plot.valToPos(marked, 'x', true);
    ctx.strokeStyle = colour('mark');
    ctx.setLineDash([]);
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Stretches of gaps and of bad values, in order of time, found once. */
function oddStretches({ times, bad, gapS }) {
  const found = [];
  for (let at = 0; at < times.length; at++) {
    if (at > 0 && times[at] - times[at - 1] > gapS) found.push({ name: 'gap', from: times[at - 1], to: times[at] });
    if (bad[at] !== 1) continue;
    const last = found[found.length - 1];
    const to = times[at + 1] ?? times[at];
    if (last?.name === 'bad' && last.to === times[at]) last.to = to;
    else found.push({ name: 'bad', from: times[at], to });
  }
  return found;
}

/** The points that come after a gap, by their place. */
function gapsOf({ times, gapS }) {
  const found = [];
  for (let at = 1; at < times.length; at++) if (times[at] - times[at - 1] > gapS) found.push(at);
  return found;
}

function drawQuality(canvas, points, min, max) {
  const width = canvas.clientWidth;
  canvas.width = width * devicePixelRatio;
  canvas.height = 14 * devicePixelRatio;
  const ctx = canvas.getContext('2d');
  ctx.scale(devicePixelRatio, devicePixelRatio);
  const { times, odd } = points;
  const wide = width - AXIS_PX - RIGHT_PX;
  const x = (time) => AXIS_PX + ((Math.min(Math.max(time, min), max) - min) / (max - min)) * wide;
  ctx.fillStyle = colour('good');
  ctx.fillRect(x(times[0]), 2, x(times[times.length - 1]) - x(times[0]), 10);
  const colours = { gap: colour('gap'), bad: colour('bad') };
  for (const { name, from, to } of odd) {
    if (to < min || from > max) continue;
    ctx.fillStyle = colours[name];
    ctx.fillRect(x(from), 2, Math.max(2, x(to) - x(from)), 10);
  }
}

function shownTime(time) {
  if (typeof time !== 'number') return '';
  return form === 'utc' ? new Date(time * 1000).toISOString().slice(0, 19) : `${time} s`;
}

/** Hours and minutes, and the date where a day begins or nothing shorter is shown. */
function timeTicks(_plot, ticks, _axis, _space, stepS) {
  return ticks.map((tick) => {
    const stamp = new Date(tick * 1000).toISOString();
    const clock = stamp.slice(11, stepS < 60 ? 19 : 16);
    return stepS >= 86_400 || clock.startsWith('00:00') ? stamp.slice(0, 10) : clock;
  });
}

function axes(label) {
  const common = {
    stroke: colour('faint'),
    grid: { stroke: colour('line'), width: 1 },
    ticks: { stroke: colour('line') },
  };
  const time = form === 'utc' ? { values: timeTicks } : { values: (_, ticks) => ticks.map((tick) => `${tick} s`) };
  return [
    { ...common, ...time, space: DATE_PX },
    { ...common, scale: label, size: AXIS_PX, values: (_, ticks) => ticks.map((tick) => `${tick} ${label}`) },
  ];
}

/** The charts of one feeder, or of the transformer, with one time axis. */
class FeederChart {
  constructor(section, feeder, points) {
    Object.assign(this, { section, feeder, points, marked: null, plots: [] });
    this.currents = section.querySelector('.currents');
    const { times } = points;
    const last = times[times.length - 1];
    this.full = [times[0], last > times[0] ? last : times[0] + 1];
    this.range = [...this.full];
    for (const button of section.querySelectorAll('[data-do]'))
      button.addEventListener('click', () => this.move(button.dataset.do));
    this.draw();
  }

  move(what) {
    const [min, max] = this.range;
    const half = (max - min) / 2;
    const to = {
      all: this.full,
      in: [min + half / 2, max - half / 2],
      out: [min - half, max + half],
      earlier: [min - half, max - half],
      later: [min + half, max + half],
    }[what];
    this.show(...to);
  }

  jump(atMs) {
    this.marked = seconds(atMs);
    const half = Math.min((this.full[1] - this.full[0]) / 2, this.points.gapS * 20);
    this.show(this.marked - half, this.marked + half);
    this.section.scrollIntoView({ behavior: 'auto', block: 'start' });
  }

  show(min, max) {
    const { full, points, section } = this;
    const span = Math.min(full[1] - full[0], Math.max(points.gapS / 3, max - min));
    const start = Math.min(Math.max(min, full[0]), full[1] - span);
    this.range = [start, start + span];
    section.dataset.from = String(start);
    section.dataset.to = String(start + span);
    // However many turns of the wheel come in a frame, it is drawn once.
    if (!this.isWaiting) requestAnimationFrame(() => this.redraw());
    this.isWaiting = true;
  }

  redraw() {
    const begunMs = performance.now();
    this.isWaiting = false;
    const { points, plots, section } = this;
    const [min, max] = this.range;
    const data = visible(points, min, max, this.currents.clientWidth);
    plots[0].setData(data.slice(0, 4), false);
    plots[1].setData([data[0], data[4], data[5]], false);
    for (const plot of plots) plot.setScale('x', { min, max });
    drawQuality(section.querySelector('.quality'), points, min, max);
    // uPlot draws in a microtask of its own, before this one.
    queueMicrotask(() => {
      section.dataset.drawnMs = String(performance.now() - begunMs);
    });
  }

  draw() {
    for (const plot of this.plots) plot.destroy();
    const { feeder } = this;
    const rise = (least) => ({ range: (_plot, _low, high) => [0, Math.max(least, (high ?? 0) * 1.05)] });
    const highest = Math.max(...feeder.lines.map(({ valueA }) => valueA ?? 0)) * 1.05;
    const episodes = [(plot) => shade(plot, feeder)];
    const marks = [(plot) => levels(plot, feeder, this.marked)];
    const phases = this.options(300, 'A', phaseSeries(), { drawClear: episodes, draw: marks }, { A: rise(highest) });
    const percents = this.options(150, '%', percentSeries(), { drawClear: episodes }, { '%': rise(105) });
    this.plots = [
      new uPlot(phases, [[], [], [], []], this.currents),
      new uPlot(percents, [[], [], []], this.section.querySelector('.level')),
    ];
    for (const plot of this.plots) this.handle(plot);
    this.show(...this.range);
    this.redraw();
  }

  options(height, label, series, hooks, scales) {
    const [min, max] = this.range;
    return {
      width: this.currents.clientWidth,
      height,
      padding: [8, RIGHT_PX, 0, 0],
      tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), 'Etc/UTC'),
      scales: { x: { time: form === 'utc', auto: false, min, max }, ...scales },
      series: [{ label: form === 'utc' ? 'UTC' : 'time', value: (_plot, time) => shownTime(time) }, ...series],
      axes: axes(label),
      cursor: {
        sync: { key: `chart-${this.feeder.id}` },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => this.show(...this.full) },
      },
      hooks: { ...hooks, setSelect: [(plot) => this.selected(plot)] },
    };
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const [min, max] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.show(min, max);
  }

  /** The wheel zooms where the pointer is; a drag with shift pans. */
  handle(plot) {
    const wheel = (event) => {
      event.preventDefault();
      const at = plot.posToVal(event.offsetX, 'x');
      const factor = event.deltaY < 0 ? 0.8 : 1.25;
      this.show(at - (at - this.range[0]) * factor, at + (this.range[1] - at) * factor);
    };
    plot.over.addEventListener('wheel', wheel, { passive: false });
    plot.over.addEventListener('mousedown', (event) => this.pan(plot, event), { capture: true });
  }

  pan(plot, event) {
    if (!event.shiftKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const [min, max] = this.range;
    const perPixel = (max - min) / plot.over.clientWidth;
    const move = ({ clientX }) => {
      const by = (event.clientX - clientX) * perPixel;
      this.show(min + by, max + by);
    };
    const up = () => {
      window.removeEventListener('mousemove', move);
      window.removeEventListener('mouseup', up);
    };
    window.addEventListener('mousemove', move);
    window.addEventListener('mouseup', up);
  }
}

function phaseSeries() {
  const dashes = [undefined, [8, 3], [3, 3]];
  return ['L1', 'L2', 'L3'].map((name, index) => ({
    label: name,
    scale: 'A',
    stroke: colour(name),
    width: 1.5,
    dash: dashes[index],
    points: { show: false },
    value: (_plot, value) => (typeof value === 'number' ? `${value.toFixed(1)} A` : 'no value'),
  }));
}

function percentSeries() {
  const common = {
    scale: '%',
    width: 1.5,
    points: { show: false },
    value: (_plot, value) => (typeof value === 'number' ? `${value} %` : 'none'),
  };
  const paths = uPlot.paths.stepped({ align: 1 });
  return [
    { ...common, label: 'permitted level', stroke: colour('limit'), paths },
    { ...common, label: 'thermal state', stroke: colour('mark') },
  ];
}

async function start() {
  const charts = [];
  const drawAll = () => {
    for (const each of charts) each?.draw();
  };
  followTheme(drawAll);
  window.addEventListener('resize', drawAll);
  for (const [index, feeder] of feeders.entries()) {
    const points = await unpack(feeder);
    points.gapS = 3 * medianInterval(points.times);
    points.blocks = blocksOf(points);
    points.odd = oddStretches(points);
    points.gaps = gapsOf(points);
    const section = document.querySelector(`section.feeder[data-feeder="${index}"]`);
    if (points.times.length > 0) charts[index] = new FeederChart(section, feeder, points);
  }
  document.addEventListener('click', (event) => {
    const row = event.target.closest('button.jump')?.closest('tr');
    if (!row) return;
    for (const other of document.querySelectorAll('tr.selected')) other.classList.remove('selected');
    row.classList.add('selected');
    charts[Number(row.dataset.feeder)]?.jump(Number(row.dataset.at));
  });
  document.body.dataset.ready = 'true';
}
await start();
