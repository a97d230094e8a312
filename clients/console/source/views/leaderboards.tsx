// Who leads, on each leaderboard of the game.
import { useState } from "preact/hooks";
import { get, part } from "../api";
import type { GameInForce, Ranking } from "../answers";
import { counted, number, spaced } from "../format";
import { useLoad, usePages } from "../hooks";
import { Card, Empty, Loading, Pager, Trouble } from "../parts/ui";
import { link } from "../route";

type Window = string | { type: "season"; starts_at: string; ends_at: string };

interface Board { code: string; name: string; window?: Window | Window[] }

const SHOWN = 10;

export function Leaderboards() {
  const game = useLoad(() => get<GameInForce>("/api/v1/gamify/admin/game"), []);
  if (!game.value) return <>{game.loading && <Loading />}<Trouble error={game.error} /></>;
  const boards = (game.value.game.leaderboards ?? []) as Board[];
  if (boards.length === 0) return <Empty>The game has no leaderboards.</Empty>;
  return <div class="columns even">{boards.map((each) => <BoardCard key={each.code} board={each} />)}</div>;
}

/** How the API calls a window, and how a person does. */
const named = (window: Window): [string, string] => (typeof window === "string" ? [window, spaced(window)] : [window.starts_at, `season from ${window.starts_at.slice(0, 10)}`]);

const CHANGES = { up: "▲", same: "•", down: "▼", new: "new" };

function BoardCard({ board }: { board: Board }) {
  const windows = [board.window ?? "all_time"].flat().map(named);
  const [period, setPeriod] = useState(windows[0]![0]);
  const pages = usePages([period]);
  const { cursor } = pages;
  const ranking = useLoad(() => get<Ranking>(`/api/v1/gamify/leaderboards/${part(board.code)}`, { period, cursor, limit: SHOWN }), [period, cursor], 5);
  const pick = windows.length > 1
    ? <select value={period} aria-label={`Window of ${board.name}`} onChange={(event) => setPeriod(event.currentTarget.value)}>{windows.map(([each, words]) => <option key={each} value={each}>{words}</option>)}</select>
    : <span class="soft">{windows[0]![1]}</span>;
  const found = ranking.value;
  return (
    <Card title={board.name} aside={pick}>
      <Trouble error={ranking.error} />
      {!found && ranking.loading && <Loading />}
      {found && (found.entries.length === 0 ? <Empty>Nobody has a score in this window.</Empty> : (
        <ol class="ranking" start={found.entries[0]!.rank}>
          {found.entries.map((each) => (
            <li key={each.participant_id}>
              <span class="place">{number(each.rank)}</span>
              {found.group_by
                ? <span><bdi>{each.participant_id}</bdi> <span class="soft">{counted(each.members ?? 0, "member")}</span></span>
                : <a href={link("participants", each.participant_id)}><bdi>{each.participant_id}</bdi></a>}
              {each.change && <span class={`move ${each.change}`} title="Compared with the window before">{CHANGES[each.change]}<span class="unseen"> compared with the window before: {each.change}</span></span>}
              <strong>{number(each.score)}</strong>
            </li>
          ))}
        </ol>
      ))}
      {found && found.total_participants > found.entries.length && <p class="soft">of {counted(found.total_participants, found.group_by ? "team" : "participant")}</p>}
      {found && <Pager pages={pages} next={found.next_cursor} />}
    </Card>
  );
}
