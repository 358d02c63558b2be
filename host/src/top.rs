//! `whittle top`: a cluster on a screen that stays up to date, or once as text.
//!
//! Everything is read from the API server with the rights that a kubeconfig gives: the process that runs the cluster is
//! not asked, and need not be there.

mod cells;
mod screen;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube_client::Client;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use whittle_control::overview::{Overview, overview};
use whittle_control::preview::preview;
use whittle_kube::said;
use whittle_kube::view::View;
use whittle_sim::record::text::table::{Align, table};

use crate::args::{OutputArg, TopArgs};
use crate::top::cells::{COLUMNS, Order, next, row, summary};
use crate::top::screen::Screen;
use crate::{look, output};

/// How often the screen is brought up to date.
const REFRESH: Duration = Duration::from_secs(2);
/// A page of the table.
const PAGE: u16 = 10;
/// So many lines of what was said.
const SAID_MAX: usize = 50;

pub(crate) fn run(args: &TopArgs) -> Result<()> {
    let once = args.once || !io::stdout().is_terminal();
    look::runtime()?.block_on(async {
        let client = look::client(args.look.kubeconfig.as_deref()).await?;
        let mut view = look::view(&args.look, &client).await?;
        if once { print(&seen(&mut view), args.output) } else { watch(&client, view).await }
    })
}

fn seen(view: &mut View) -> Overview {
    let now = view.now();
    let unclear = view.unclear();
    Overview { unclear, ..overview(view.controller.snapshot(), preview(&view.controller, now), now) }
}

fn print(overview: &Overview, how: OutputArg) -> Result<()> {
    match how {
        OutputArg::Text => output::print(&text(overview)),
        OutputArg::Json => output::print(&serde_json::to_string_pretty(overview)?),
    }
}

fn text(overview: &Overview) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
    rows.extend(overview.nodes.iter().map(|node| row(node).to_vec()));
    let columns = COLUMNS.map(|name| match name {
        "PRICE/H" | "CPU" | "MEMORY" | "PODS" | "AGE" => Align::Right,
        _ => Align::Left,
    });
    let mut text = format!("{}\n\n{}", summary(overview), table(&rows, &columns));
    let next = next(overview);
    if !next.is_empty() {
        text.push_str("\nNext, if nothing changes\n");
        next.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    if !overview.unclear.is_empty() {
        text.push_str("\nNot understood\n");
        overview.unclear.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}

async fn watch(client: &Client, view: View) -> Result<()> {
    let mut terminal = ratatui::try_init().context("this terminal cannot be drawn on")?;
    let outcome = turn(client, view, &mut terminal).await;
    ratatui::restore();
    outcome
}

async fn turn(client: &Client, mut view: View, terminal: &mut ratatui::DefaultTerminal) -> Result<()> {
    let mut keys = keys();
    let mut refresh = interval(REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut screen = Screen::default();
    loop {
        tokio::select! {
            _ = refresh.tick() => {
                screen.trouble = view.refresh();
                screen.overview = seen(&mut view);
                match said::last(client, SAID_MAX).await {
                    Ok(said) => screen.said = said,
                    Err(error) => screen.trouble = screen.trouble.or(Some(error)),
                }
            }
            event = keys.recv() => match event.context("the keyboard is gone")?? {
                Event::Key(key) if key.kind == KeyEventKind::Press && !obey(&mut screen, key) => return Ok(()),
                _ => {}
            },
        }
        terminal.draw(|frame| screen.draw(frame)).context("the terminal is gone")?;
    }
}

/// Does what a key says; `false`: the end.
fn obey(screen: &mut Screen, key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Char('s') => screen.order = Order::next(screen.order),
        KeyCode::Down | KeyCode::Char('j') => screen.place.select_next(),
        KeyCode::Up | KeyCode::Char('k') => screen.place.select_previous(),
        KeyCode::PageDown => screen.place.scroll_down_by(PAGE),
        KeyCode::PageUp => screen.place.scroll_up_by(PAGE),
        KeyCode::Home => screen.place.select_first(),
        KeyCode::End => screen.place.select_last(),
        _ => {}
    }
    true
}

/// What is typed, read where waiting for it holds nobody up.
fn keys() -> mpsc::Receiver<io::Result<Event>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if sender.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}
