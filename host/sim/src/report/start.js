// Draws the page.

definePatterns();
showHeader();
showNotices();
showFigures();
setUpCharts();
showPools();
setUpPacking();
showUnschedulable();
setUpTimeline();
showSections();
byId('footer').textContent = `Made by whittle simulate. Times are in ${clock.zone}. Prices are US dollars; costs follow them by the millisecond.`;
addEventListener('beforeprint', () => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
addEventListener('scroll', hideTip, { passive: true });
addEventListener('keydown', (event) => { if (event.key === 'Escape') hideTip(); });
document.documentElement.dataset.ready = 'yes';
