// Who leads, on each leaderboard of the game.
import { useState } from "preact/hooks";
import { get, part } from "../api";
import type { GameInForce, Ranking } from "../answers";
import { counted, number, spaced } from "../format";
import { useLoad } from "../hooks";
import { Card, Empty, Loading, Trouble } from "../parts/ui";
import { link } from "../route";

interface Board { code: string; name?: string; window?: string | string[] }

export function Leaderboards() {
  const game = useLoad(() => get<GameInForce>("/api/v1/gamify/admin/game"), []);
  if (!game.value) return <>{game.loading && <Loading />}<Trouble error={game.error} /></>;
  const boards = (game.value.game.leaderboards ?? []) as Board[];
  if (boards.length === 0) return <Empty>The game has no leaderboards.</Empty>;
  return <div class="columns even">{boards.map((each) => <BoardCard key={each.code} board={each} />)}</div>;
}

const CHANGES = { up: "▲", same: "•", down: "▼", new: "new" };

function BoardCard({ board }: { board: Board }) {
  const windows = [board.window ?? "all_time"].flat();
  const [period, setPeriod] = useState(windows[0]!);
  const ranking = useLoad(() => get<Ranking>(`/api/v1/gamify/leaderboards/${part(board.code)}`, { period, limit: 10 }), [period], 5);
  const pick = windows.length > 1 && (
    <select value={period} aria-label={`Window of ${board.name ?? board.code}`} onChange={(event) => setPeriod(event.currentTarget.value)}>{windows.map((each) => <option key={each} value={each}>{spaced(each)}</option>)}</select>
  );
  return (
    <Card title={board.name ?? board.code} aside={pick || <span class="soft">{spaced(period)}</span>}>
      <Trouble error={ranking.error} />
      {ranking.value && (ranking.value.entries.length === 0 ? <Empty>Nobody has a score in this window.</Empty> : (
        <ol class="ranking">
          {ranking.value.entries.map((each) => (
            <li key={each.participant_id}>
              <span class="place">{each.rank}</span>
              <a href={link("participants", each.participant_id)}><bdi>{each.participant_id}</bdi></a>
              {each.change && <span class={`move ${each.change}`} title="Against the window before">{CHANGES[each.change]}<span class="unseen"> against the window before: {each.change}</span></span>}
              <strong>{number(each.score)}</strong>
            </li>
          ))}
        </ol>
      ))}
      {ranking.value && ranking.value.total_participants > 10 && <p class="soft">Of {counted(ranking.value.total_participants, "participant")}</p>}
    </Card>
  );
}
