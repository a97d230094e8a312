// Which events there are, with what properties, and which names are likely typos of others.
import { get, part } from "../api";
import type { CatalogueEntry } from "../answers";
import { counted, number, percent } from "../format";
import { useLoad, usePages } from "../hooks";
import { Chip, Empty, Loading, Pager, Trouble, When } from "../parts/ui";

const PATH = "/api/v1/events/catalog";
const SHOWN = 50;

interface Page { events: CatalogueEntry[]; next_cursor: string | null; names: number; left_out: { events: number; properties: number } | null }

export function Catalogue() {
  const pages = usePages([]);
  const { cursor } = pages;
  const found = useLoad(() => get<Page>(PATH, { limit: SHOWN, cursor }), [cursor], 10);
  if (!found.value) return <>{found.loading && <Loading />}<Trouble error={found.error} /></>;
  const { events, names, left_out: left, next_cursor: next } = found.value;
  if (names === 0) return <Empty>No events yet. Each name that comes in is listed here, with its properties.</Empty>;
  return (
    <>
      <Trouble error={found.error} />
      {left && <p class="notice warn">The catalogue is full: {counted(left.events, "event")} with other names and {counted(left.properties, "value")} of other properties aren't listed. Names are most likely made of data, such as ids.</p>}
      <div class="card flush">
        <table class="wide catalogue">
          <thead><tr><th scope="col">Event</th><th scope="col">Properties</th><th scope="col" class="figure-cell">Count</th><th scope="col">First seen</th><th scope="col">Last seen</th></tr></thead>
          <tbody>
            {events.map((each) => (
              <tr key={each.event_name}>
                <th scope="row" class="name"><bdi>{each.event_name}</bdi>{each.similar_to[0] !== undefined && <Similar entry={each} name={each.similar_to[0]} />}</th>
                <td data-label="Properties"><Properties entry={each} /></td>
                <td data-label="Count" class="figure-cell">{number(each.count)}</td>
                <td data-label="First seen"><When at={each.first_seen_at} only="relative" /></td>
                <td data-label="Last seen"><When at={each.last_seen_at} only="relative" /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Pager pages={pages} next={next} />
    </>
  );
}

/** Of two names that are alike the rarer is likely the typo. */
function Similar({ entry, name }: { entry: CatalogueEntry; name: string }) {
  const other = useLoad(() => get<CatalogueEntry>(`${PATH}/${part(name)}`), [name]);
  if (!other.value) return null;
  return other.value.count > entry.count
    ? <span class="typo"><Chip kind="warn">Likely a typo of <bdi>{name}</bdi></Chip></span>
    : <span class="soft">also seen: {entry.similar_to.map((each) => <bdi key={each}>{each} </bdi>)}</span>;
}

function Properties({ entry }: { entry: CatalogueEntry }) {
  if (entry.properties.length === 0) return <span class="soft">none</span>;
  return (
    <ul class="properties-seen">
      {entry.properties.map(({ name, types, share }) => {
        const kinds = Object.keys(types);
        return <li key={name}><bdi class="mono">{name}</bdi> <span class={kinds.length > 1 ? "mixed" : "soft"}>{kinds.join(" or ")}</span>{share < 1 && <span class="soft"> {percent(share)}</span>}</li>;
      })}
    </ul>
  );
}
