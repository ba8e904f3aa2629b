// Draws the line charts that a page carries, run by a browser: one for each place, all of a page's time axes together.
/* global document, window, uPlot, getComputedStyle, followTheme */
const charts = JSON.parse(document.getElementById('data').textContent);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const COLOURS = ['L1', 'L2', 'L3', 'limit', 'mark', 'faint'];

function draw(place) {
  const { x, xLabel, isTime, series } = charts[Number(place.dataset.chart)];
  place.replaceChildren();
  const axis = { stroke: colour('faint'), grid: { stroke: colour('line') }, ticks: { stroke: colour('line') } };
  const lines = series.map(({ label }, index) => ({
    label,
    stroke: colour(COLOURS[index % COLOURS.length]),
    width: 1.5,
    points: { show: x.length < 50 },
  }));
  const options = {
    width: place.clientWidth,
    height: 280,
    tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), 'Etc/UTC'),
    scales: { x: { time: isTime } },
    series: [{ label: xLabel }, ...lines],
    axes: [axis, { ...axis, size: 60 }],
    cursor: { sync: { key: isTime ? 'time' : 'x' } },
  };
  new uPlot(options, [x, ...series.map(({ values }) => values)], place);
}

const drawAll = () => {
  for (const place of document.querySelectorAll('.plot')) draw(place);
};
followTheme(drawAll);
window.addEventListener('resize', drawAll);
document.body.dataset.ready = 'true';
