// Prints the events of a stream as JSON lines, as the npm package eventsource hears them: URL COUNT.
// Ends with 0 after that many, with 2 when the server tells it to stay away.
const { EventSource } = require('eventsource')

const [url, count] = [process.argv[2], Number(process.argv[3])]
const events = new EventSource(url)
let heard = 0
events.addEventListener('record', (event) => {
  console.log(JSON.stringify({ id: event.lastEventId, data: JSON.parse(event.data) }))
  if (++heard === count) {
    events.close()
    process.exit(0)
  }
})
events.addEventListener('error', (error) => {
  console.error(`error ${error.code ?? ''} ${error.message ?? ''}`)
  if (events.readyState === EventSource.CLOSED) process.exit(2)
})
