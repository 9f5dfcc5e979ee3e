--- What the server says of itself: the statusline component and the `:Cato status` window.
local server = require("cato.server")

local M = {}

---@class cato.State
---@field busy boolean
---@field message string
---@field kind "Normal"|"Warning"|"Error"|"Inactive"
M.state = { busy = false, message = "", kind = "Inactive" }

local SIGNS = { Normal = "✓", Warning = "!", Error = "✗", Inactive = "–" }

---@type lsp.Handler
function M.did_change_status(_, params)
  M.state = { busy = params.busy, message = params.message, kind = params.kind }
  vim.api.nvim_exec_autocmds("User", { pattern = "CatoStatus", modeline = false, data = M.state })
  vim.cmd.redrawstatus()
  return vim.NIL
end

--- A short text for a statusline; empty where the server does not run in this buffer.
---@return string
function M.statusline()
  local client = vim.lsp.get_clients({ name = server.NAME, bufnr = 0 })[1]
  if not client then
    return ""
  end
  if require("cato.completion").paused() then
    return "cato ‖"
  end
  local running = require("cato.tasks").running()
  if running then
    return "cato … " .. running
  end
  return "cato " .. (M.state.busy and "…" or SIGNS[M.state.kind] or "?")
end

---@param status table
---@return string[]
local function lines(status)
  local text = {
    "engine   " .. status.engine.phase .. "  " .. status.engine.message,
    "model    " .. tostring(status.model),
    "live     " .. tostring(status.live),
  }
  if status.engine.remedy ~= "" then
    table.insert(text, "remedy   " .. status.engine.remedy)
  end
  local counts = {} ---@type table<string, { count: integer, met: integer, judged: integer }>
  for _, task in ipairs(status.tasks or {}) do
    local row = counts[task.kind] or { count = 0, met = 0, judged = 0 }
    counts[task.kind] = row
    row.count = row.count + 1
    if type(task.met) == "boolean" then
      row.judged = row.judged + 1
      row.met = row.met + (task.met and 1 or 0)
    end
  end
  table.insert(text, "")
  table.insert(text, ("%-14s %8s %14s"):format("last tasks", "count", "deadlines met"))
  for kind, row in vim.spairs(counts) do
    table.insert(text, ("%-14s %8d %14s"):format(kind, row.count, row.met .. "/" .. row.judged))
  end
  return text
end

--- Open a window with the server's state.
function M.show()
  server.status(function(status)
    local text = lines(status)
    local bufnr = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, text)
    vim.bo[bufnr].modifiable = false
    vim.bo[bufnr].bufhidden = "wipe"
    vim.keymap.set("n", "q", "<Cmd>close<CR>", { buffer = bufnr, desc = "close" })
    local width = vim.iter(text):fold(40, function(most, line)
      return math.max(most, vim.fn.strdisplaywidth(line))
    end)
    vim.api.nvim_open_win(bufnr, true, {
      relative = "editor",
      width = math.min(width, vim.o.columns - 4),
      height = #text,
      row = math.max(0, math.floor((vim.o.lines - #text) / 2) - 1),
      col = math.max(0, math.floor((vim.o.columns - width) / 2)),
      style = "minimal",
      border = "rounded",
      title = " cato ",
    })
  end)
end

return M
